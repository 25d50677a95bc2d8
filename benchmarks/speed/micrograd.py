"""The peer of our scalar autograd, and a small MLP that both differentiate.

The peer is written here after Karpathy's micrograd: a set of children and a closure a node, a
recursive sort. Both make one node an operation in the same order, and must give the same
gradients.
"""

import itertools
import random
from collections.abc import Callable
from typing import Any

SIZES = (2, 16, 16, 1)
EXAMPLES = 20


class Peer:
    """micrograd's design: data, children in a set, and a closure that hands the gradient on."""

    def __init__(self, data: float, children: tuple = (), op: str = "") -> None:
        self.data, self.grad = data, 0.0
        self._backward = lambda: None
        self._prev, self._op = set(children), op

    def __add__(self, other: Any) -> "Peer":
        other = other if isinstance(other, Peer) else Peer(other)
        out = Peer(self.data + other.data, (self, other), "+")

        def _backward() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other: Any) -> "Peer":
        other = other if isinstance(other, Peer) else Peer(other)
        out = Peer(self.data * other.data, (self, other), "*")

        def _backward() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def relu(self) -> "Peer":
        out = Peer(0.0 if self.data < 0 else self.data, (self,), "ReLU")

        def _backward() -> None:
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def backward(self) -> None:
        order, visited = [], set()

        def build(v: "Peer") -> None:
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                order.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(order):
            v._backward()


def network(kind: type, seed: int = 0) -> list:
    """Layers of neurons, each a list of weights and a bias."""
    draw = random.Random(seed)
    return [
        [([kind(draw.uniform(-1, 1)) for _ in range(n)], kind(0.0)) for _ in range(m)]
        for n, m in itertools.pairwise(SIZES)
    ]


def one_by_one(weights: list, inputs: list, bias: Any) -> Any:
    z = bias
    for w, x in zip(weights, inputs, strict=True):
        z = z + w * x
    return z


def step(layers: list, data: list, kind: type, neuron: Callable) -> Any:
    """The squared error of the network on the data, and its gradient."""
    loss = kind(0.0)
    for x, y in data:
        a = x
        for i, layer in enumerate(layers):
            z = [neuron(weights, a, bias) for weights, bias in layer]
            a = z if i == len(layers) - 1 else [s.relu() for s in z]
        error = a[0] + (-y)
        loss = loss + error * error
    loss.backward()
    return loss


def leaves(layers: list) -> list:
    return [v for layer in layers for weights, bias in layer for v in (*weights, bias)]
