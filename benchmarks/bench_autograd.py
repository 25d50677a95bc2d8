"""Our scalar autograd beside micrograd's design: forward and backward of a small MLP.

    python benchmarks/bench_autograd.py

The peer is written here after Karpathy's micrograd: a set of children and a closure a node, a
recursive sort. Both make one node an operation in the same order, and must give the same
gradients. Runs are interleaved, garbage is collected before each and untimed, medians are
compared. A last line makes one node a neuron: what fusing operations is worth.
"""

import gc
import itertools
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from llmcourse.autograd import Value, dot

SIZES = (2, 16, 16, 1)
EXAMPLES = 20
ROUNDS = 25


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


def main() -> None:
    draw = random.Random(1)
    data = [
        ([draw.uniform(-1, 1), draw.uniform(-1, 1)], draw.uniform(-1, 1)) for _ in range(EXAMPLES)
    ]
    cases = {
        "micrograd's design": (Peer, one_by_one),
        "ours": (Value, one_by_one),
        "ours, fused": (Value, dot),
    }
    nets = {name: network(kind) for name, (kind, _) in cases.items()}
    grads = {}
    for name, (kind, neuron) in cases.items():
        step(nets[name], data, kind, neuron)
        grads[name] = [v.grad for v in leaves(nets[name])]
    gap = max(abs(a - b) for g in grads.values() for a, b in zip(g, grads["ours"], strict=True))
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, (kind, neuron) in cases.items():
            gc.collect()
            start = time.perf_counter()
            graph = step(nets[name], data, kind, neuron)
            times[name].append(time.perf_counter() - start)
            del graph  # freeing it is not timed: the peer's cycles wait for the collector
    median = {name: statistics.median(runs) for name, runs in times.items()}
    print(f"MLP {SIZES}, {EXAMPLES} examples, forward and backward, medians of {ROUNDS};", end=" ")
    print(f"gradients agree to {gap:.0e}")
    for name, value in median.items():
        ratio = median["micrograd's design"] / value
        print(f"{name:20} {1e3 * value:7.1f} ms   {ratio:.2f} x the peer's speed")


if __name__ == "__main__":
    main()
