"""Exercises of the chapter `concepts/backprop`: local derivatives, and the backward pass."""

import math
from collections import deque

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- local derivatives -------------------------------------------------------------------------


def partials_stub(op, *inputs):
    raise NotImplementedError


def partials(op, *inputs):
    a, b = inputs[0], inputs[-1]
    if op == "sub":
        return (1.0, -1.0)
    if op == "mul":
        return (b, a)
    if op == "div":
        return (1 / b, -a / b**2)
    if op == "tanh":
        return (1 - math.tanh(a) ** 2,)
    if op == "log":
        return (1 / a,)
    return (float(a > 0),)  # relu


def _partials_but(op, wrong):
    """The reference, except that `op` answers with `wrong(*inputs)`."""

    def answer(name, *inputs):
        return wrong(*inputs) if name == op else partials(name, *inputs)

    return answer


_SLIPS = {
    "sub": {"a − b falls when b grows: its second derivative is negative": lambda a, b: (1.0, 1.0)},
    "mul": {
        "the factors are exchanged: ∂(ab)/∂a is b, and ∂(ab)/∂b is a": lambda a, b: (a, b),
        "a product is not a sum: its derivatives depend on the factors": lambda a, b: (1.0, 1.0),
    },
    "div": {
        "a / b falls when b grows, for positive a: the sign of ∂/∂b is lost": lambda a, b: (
            1 / b,
            a / b**2,
        ),
        "∂(a/b)/∂b has b squared below": lambda a, b: (1 / b, -a / b),
    },
    "tanh": {
        "the square is that of tanh(a), not of a": lambda a: (1 - a**2,),
        "this is the value of tanh, not its derivative": lambda a: (math.tanh(a),),
    },
    "log": {"this is the value of log, not its derivative": lambda a: (math.log(a),)},
    "relu": {
        "this is the value of relu; its slope is 1 or 0": lambda a: (max(a, 0.0),),
        "below zero relu is flat: its slope is 0 there": lambda a: (1.0,),
    },
}


def check_partials(answer):
    cases = {
        "sub": [(2.0, 5.0)],
        "mul": [(2.0, 5.0), (-3.0, 0.5), (1.5, 1.5)],
        "div": [(3.0, 4.0), (-2.0, 0.5)],
        "tanh": [(0.7,), (-1.5,), (0.0,)],
        "log": [(0.5,), (3.0,)],
        "relu": [(2.5,), (0.5,), (-2.5,), (0.0,)],
    }
    for op, several in cases.items():
        for inputs in several:
            got = answer(op, *inputs)
            expect(
                isinstance(got, tuple | list) and len(got) == len(inputs),
                f"partials({op!r}, …) should give one derivative an input, {len(inputs)} in all",
                got=got,
            )
            # At 0 relu has no slope: what a slip would say there proves nothing.
            slips = {} if inputs == (0.0,) else _SLIPS[op]
            close(
                list(got),
                list(partials(op, *inputs)),
                f"wrong derivatives of {op} at {inputs}",
                suspects={why: list(slip(*inputs)) for why, slip in slips.items()},
            )


# ---- the backward pass -------------------------------------------------------------------------


def gradients_stub(graph, output):
    raise NotImplementedError


def gradients(graph, output):
    order, seen, stack = [], set(), [output]
    while stack:
        v = stack.pop()
        if v is None:
            order.append(stack.pop())  # all its parents are in the list by now
        elif v not in seen:
            seen.add(v)
            stack += [v, None, *(u for u, _ in graph[v])]
    grad = dict.fromkeys(graph, 0.0)
    grad[output] = 1.0
    for v in reversed(order):
        for u, d in graph[v]:
            grad[u] += grad[v] * d
    return grad


def _found_first(graph, output, add=True, multiply=True):
    """Nodes in the order in which a search from the output meets them: not topological."""
    grad, queue, seen = dict.fromkeys(graph, 0.0), deque([output]), {output}
    grad[output] = 1.0
    while queue:
        v = queue.popleft()
        for u, d in graph[v]:
            grad[u] += grad[v] * d
            if u not in seen:
                seen.add(u)
                queue.append(u)
    return grad


def _sweep(update, seed=1.0):
    """The reference with another way to combine: `update(old, child's, local)`."""

    def answer(graph, output):
        order, seen = [], set()
        _visit(graph, output, order, seen)
        grad = dict.fromkeys(graph, 0.0)
        grad[output] = seed
        for v in reversed(order):
            for u, d in graph[v]:
                grad[u] = update(grad[u], grad[v], d)
        return grad

    return answer


def _visit(graph, v, order, seen):
    if v not in seen:
        seen.add(v)
        for u, _ in graph[v]:
            _visit(graph, u, order, seen)
        order.append(v)


_overwrites = _sweep(lambda old, g, d: g * d)
_no_chain = _sweep(lambda old, g, d: old + d)
_recursive = _sweep(lambda old, g, d: old + g * d)
_no_seed = _sweep(lambda old, g, d: old + g * d, seed=0.0)


def _only_reached(graph, output):
    full = gradients(graph, output)
    order, seen = [], set()
    _visit(graph, output, order, seen)
    return {v: full[v] for v in order}


def check_gradients(answer):
    twice = {"y": [("x", 3.0), ("x", 3.0)], "x": [], "other": []}
    # y depends on a twice: directly, and through b.
    diamond = {"x": [], "y": [("a", 5.0), ("b", 2.0)], "b": [("a", 3.0)], "a": [("x", 7.0)]}
    for graph in (twice, diamond):
        got = answer({v: list(edges) for v, edges in graph.items()}, "y")
        expect(isinstance(got, dict), "it should return a dict from names to derivatives", got=got)
        missing = sorted(set(graph) - set(got))
        expect(not missing, f"every node needs an entry, 0 where y ignores it: {missing}")
        order = sorted(graph)
        suspects = {
            "a node used twice keeps only its last contribution: add to what is there": _overwrites,
            "a node handed its gradient on before all its children had reported: visit each node "
            "after all its children": _found_first,
            "local derivatives are added up, but must be multiplied by the child's own "
            "gradient": _no_chain,
            "nothing flows: the output's derivative by itself is 1": _no_seed,
        }
        want = gradients(graph, "y")
        close(
            [got[v] for v in order],
            [want[v] for v in order],
            f"wrong derivatives of y in {graph}, in the order {order}",
            suspects={why: [slip(graph, "y")[v] for v in order] for why, slip in suspects.items()},
        )
    inner = answer({v: list(edges) for v, edges in diamond.items()}, "b")
    close(
        [inner[v] for v in "abxy"],
        [3.0, 1.0, 21.0, 0.0],
        "asked for b, the derivatives of b by a, b, x, y are 3, 1, 21 and 0",
    )
    chain = {0: []} | {i: [(i - 1, 1.0)] for i in range(1, 100_001)}
    try:
        got = answer(chain, 100_000)
    except RecursionError:
        got = None
    expect(got, "a chain of 100,000 nodes hits Python's recursion limit: keep your own stack")
    close(got[0], 1.0, "a chain of 100,000 links of slope 1 has slope 1")
    layers = {0: []} | {i: [(i - 1, 1.0), (i - 1, 1.0)] for i in range(1, 61)}
    close(answer(layers, 60)[0], 2.0**60, "sixty doublings: 2 to the 60 paths, but only 60 nodes")


EXERCISES = (
    Exercise(
        id="backprop.partials",
        title="Local derivatives",
        stub=partials_stub,
        solution=partials,
        check=check_partials,
        hints=(
            "One derivative an input, each with the other input held fixed, as numbers at these "
            "inputs.",
            "a − b: 1 and −1. a · b: b and a. a / b: 1/b and −a/b². tanh: 1 minus the square of "
            "its value. log: 1/a. relu: 1 above zero and 0 elsewhere.",
            '`if op == "div": return (1 / b, -a / b**2)`, and for relu '
            "`return (float(a > 0),)`: one entry, still a tuple.",
        ),
        wrong=(
            Wrong(_partials_but("sub", lambda a, b: (1.0, 1.0)), "second derivative is negative"),
            Wrong(_partials_but("mul", lambda a, b: (a, b)), "exchanged"),
            Wrong(_partials_but("div", lambda a, b: (1 / b, a / b**2)), "sign of ∂/∂b"),
            Wrong(_partials_but("tanh", lambda a: (1 - a**2,)), "not of a"),
            Wrong(_partials_but("relu", lambda a: (max(a, 0.0),)), "slope is 1 or 0"),
        ),
    ),
    Exercise(
        id="backprop.gradients",
        title="The backward pass",
        stub=gradients_stub,
        solution=gradients,
        check=check_gradients,
        hints=(
            "First an order in which each node comes after all that were made from it. Then one "
            "pass: each node hands gradient × local derivative to its parents.",
            "Depth first with a stack of your own: put a node into the list when all its parents "
            "are in it. Read the list backwards. Start with grad[output] = 1 and 0 elsewhere, and "
            "*add* grad[v] · d to grad[u] for each edge.",
            "Push `v, None` and then v's parents; when None comes off the stack, the next entry "
            "is finished: `order.append(stack.pop())`. Then "
            "`for v in reversed(order): for u, d in graph[v]: grad[u] += grad[v] * d`.",
        ),
        wrong=(
            Wrong(_overwrites, "only its last contribution"),
            Wrong(_found_first, "before all its children"),
            Wrong(_no_chain, "multiplied by the child's"),
            Wrong(_recursive, "recursion limit"),
            Wrong(_no_seed, "by itself is 1"),
            Wrong(_only_reached, "every node needs an entry"),
        ),
    ),
)
