"""Reverse-mode differentiation of scalars: numbers that remember how they were made.

Every operation makes one node, which keeps its parents and its derivative by each of them, as
numbers. `backward` walks from a result to what it was made of, and leaves in each `grad` the
derivative of that result. It updates nothing: that is an optimiser's work. Without closures there
are no cycles, so a graph is freed with its result. Linnainmaa (1976).

    x, w = Value(2.0, "x"), Value(-1.5, "w")
    loss = (w * x + 1.0).tanh() ** 2
    loss.backward()
    print(w.grad)
"""

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

__all__ = ["Value", "cross_entropy", "dot", "topological", "zero_grad"]

_new = object.__new__


class Value:
    """A finite number, with room for the derivative of some later result by it.

    `op` says what made it (nothing for a leaf), `parents` of what, and `partials` holds its
    derivative by each parent. An optimiser sets `data` of a leaf; graphs made before keep the
    derivatives of the numbers that they were made with. `data` leaves the graph on purpose.

    Raises:
        TypeError: `data` is no real number.
        ValueError: `data`, or a result, is infinite or not a number.
    """

    # Two parents have slots of their own: two tuples a node would double the time of a pass.
    __slots__ = ("_a", "_b", "_da", "_db", "_mark", "_more", "data", "grad", "name", "op")
    __array_ufunc__ = None  # numpy leaves `number * value` to us

    def __init__(self, data: Any, name: str = "") -> None:
        self.data, self.grad, self.name, self.op = _number(data), 0.0, name, ""
        self._a = self._b = self._mark = None
        self._da, self._db, self._more = 0.0, 0.0, ()
        if not math.isfinite(self.data):
            raise ValueError(f"a Value must be finite, got {data}")

    @property
    def parents(self) -> tuple["Value", ...]:
        return tuple(p for p in (self._a, self._b, *(p for p, _ in self._more)) if p is not None)

    @property
    def partials(self) -> tuple[float, ...]:
        return (self._da, self._db, *(d for _, d in self._more))[: len(self.parents)]

    def __repr__(self) -> str:
        return f"Value({self.data:.6g}, {self.name!r}, grad={self.grad:.6g})"

    def __add__(self, other: Any) -> "Value":
        if type(other) is Value:
            return _node(self.data + other.data, "+", self, 1.0, other, 1.0)
        return _node(self.data + _number(other), "+", self, 1.0)

    def __sub__(self, other: Any) -> "Value":
        if type(other) is Value:
            return _node(self.data - other.data, "-", self, 1.0, other, -1.0)
        return _node(self.data - _number(other), "-", self, 1.0)

    def __rsub__(self, other: Any) -> "Value":
        return _node(_number(other) - self.data, "-", self, -1.0)

    def __mul__(self, other: Any) -> "Value":
        if type(other) is Value:
            return _node(self.data * other.data, "*", self, other.data, other, self.data)
        other = _number(other)
        return _node(self.data * other, "*", self, other)

    def __truediv__(self, other: Any) -> "Value":
        if type(other) is Value:
            r = _ratio(self.data, other.data)
            return _node(r, "/", self, 1.0 / other.data, other, -r / other.data)
        return _node(_ratio(self.data, _number(other)), "/", self, 1.0 / other)

    def __rtruediv__(self, other: Any) -> "Value":
        return _node(r := _ratio(_number(other), self.data), "/", self, -r / self.data)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Value":
        return _node(-self.data, "neg", self, -1.0)

    def __pow__(self, exponent: Any) -> "Value":
        """A fixed power; for a variable exponent write `(exponent * base.log()).exp()`."""
        x, n = self.data, _number(exponent)
        if (x < 0 and n != int(n)) or (x == 0 and (n < 0 or 0 < n < 1)):
            raise ValueError(f"{x} ** {n} has no finite real value and derivative")
        try:
            return _node(x**n, f"**{n:g}", self, n * x ** (n - 1) if n else 0.0)
        except OverflowError:
            raise ValueError(f"{x} ** {n} overflows") from None

    def exp(self) -> "Value":
        if self.data > 709.78:
            raise ValueError(f"exp overflows above 709.78, got {self.data}")
        return _node(e := math.exp(self.data), "exp", self, e)

    def log(self) -> "Value":
        if not self.data > 0.0:
            raise ValueError(f"log needs a number above 0, got {self.data}")
        return _node(math.log(self.data), "log", self, 1.0 / self.data)

    def tanh(self) -> "Value":
        return _node(t := math.tanh(self.data), "tanh", self, 1.0 - t * t)

    def relu(self) -> "Value":
        """max(0, x). It has no derivative at 0; like other libraries we say 0 there."""
        return _node(max(self.data, 0.0), "relu", self, 1.0 if self.data > 0.0 else 0.0)

    def backward(self) -> None:
        """Leave the derivative of this result in `grad` of everything that it was made of.

        Leaves *add* it to what they hold, as in torch: call `zero_grad` between steps. Nodes in
        between are overwritten. Each edge is read once, without recursion.

        Raises:
            ValueError: a derivative overflows.
        """
        # As `topological`, but without leaves: they hand nothing on, and are met most often.
        order, stack, mark = [], [self] if self.op else [], object()
        push, pop, done = stack.append, stack.pop, order.append
        while stack:
            v = pop()
            if v is None:
                done(pop())
            elif v._mark is not mark:
                v._mark, v.grad = mark, 0.0
                push(v)
                push(None)
                if v._a._a is not None:
                    push(v._a)
                if (b := v._b) is not None:
                    if b._a is not None:
                        push(b)
                    if v._more:
                        stack += [p for p, _ in v._more if p._a is not None]
        self.grad = 1.0 if self.op else self.grad + 1.0
        checksum = 0.0
        for v in reversed(order):
            g = v.grad
            term = g * v._da
            v._a.grad += term
            if (b := v._b) is not None:
                b.grad += g * v._db
                if v._more:
                    for p, d in v._more:
                        p.grad += g * d
                term += g * v._db
            checksum += term
        if checksum - checksum != 0.0:
            worst = next(v for v in reversed(topological(self)) if not math.isfinite(v.grad))
            raise ValueError(f"the derivative by {worst.name or worst.op or 'a leaf'} overflows")


def _node(data, op: str, a: Value, da, b: Value | None = None, db=0.0, more=()) -> Value:
    if data - data != 0.0:  # true of inf and nan alone
        raise ValueError(f"the result of {op!r} is not finite: {data}")
    v = _new(Value)
    # A line each: building tuples to unpack them again would cost a tenth of the pass.
    v.data = data
    v.grad = 0.0
    v.name = ""
    v.op = op
    v._a = a
    v._da = da
    v._b = b
    v._db = db
    v._more = more
    v._mark = None
    return v


def _number(x: Any) -> float:
    if isinstance(x, Real):
        return float(x)
    raise TypeError(f"expected a Value or a real number, got {type(x).__name__}")


def _ratio(a: float, b: float) -> float:
    if b == 0.0:
        raise ValueError(f"division by zero: {a} / {b}")
    return a / b


def _many(data: float, op: str, pairs: list[tuple[Value, float]]) -> Value:
    (a, da), (b, db), *more = pairs if len(pairs) > 1 else [*pairs, (None, 0.0)]
    return _node(data, op, a, da, b, db, tuple(more))


def dot(weights: Sequence[Value], inputs: Sequence[Any], bias: Value | None = None) -> Value:
    """bias + Σ weight · input as one node: a neuron. Inputs may be Values or plain numbers.

    Raises:
        ValueError: there are no weights, or not one for each input.
    """
    if len(weights) != len(inputs) or not weights:
        raise ValueError(f"dot needs one weight an input, got {len(weights)} and {len(inputs)}")
    data, pairs = (bias.data, [(bias, 1.0)]) if bias else (0.0, [])
    for w, x in zip(weights, inputs, strict=True):
        number = x.data if type(x) is Value else _number(x)
        data += w.data * number
        pairs.append((w, number))
        if type(x) is Value:
            pairs.append((x, w.data))
    return _many(data, "dot", pairs)


def cross_entropy(logits: Sequence[Value], target: int) -> Value:
    """−log softmax(logits)[target] in nats, as one node; large logits are safe.

    Raises:
        ValueError: `target` is no index of `logits`.
    """
    if not 0 <= target < len(logits):
        raise ValueError(f"target must lie in 0..{len(logits) - 1}, got {target}")
    peak = max(z.data for z in logits)
    powers = [math.exp(z.data - peak) for z in logits]
    scale = sum(powers)
    partials = [p / scale - (i == target) for i, p in enumerate(powers)]
    pairs = list(zip(logits, partials, strict=True))
    return _many(math.log(scale) + peak - logits[target].data, "nll", pairs)


def zero_grad(values: Iterable[Value]) -> None:
    """Forget the gradients of these values."""
    for v in values:
        v.grad = 0.0


def topological(root: Value) -> list[Value]:
    """All that `root` was made of, each node after its parents, left to right, `root` last."""
    order, seen, stack = [], set(), [root]
    while stack:
        v = stack.pop()
        if v is None:
            order.append(stack.pop())  # all its parents are in the list by now
        elif v not in seen:
            seen.add(v)
            stack += (v, None, *reversed(v.parents))
    return order
