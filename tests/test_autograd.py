"""The scalar engine equals torch's, survives depth and reuse, and refuses what is not finite."""

import gc
import math
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import autograd, graphview, plots
from llmcourse.autograd import Value, cross_entropy, dot, topological, zero_grad

NUMBERS = st.floats(-2, 2).filter(lambda x: abs(x) > 0.1)
# Every operation on two results, kept inside its domain: the same lambda runs on torch's scalars.
OPS = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / (b * b + 1.0),
    lambda a, b: -a,
    lambda a, b: a + 2,
    lambda a, b: 2 - a,
    lambda a, b: 3 * a,
    lambda a, b: a / 4,
    lambda a, b: 1.5 / (a * a + 1.0),
    lambda a, b: a**2,
    lambda a, b: (a * a + 1.0) ** -0.5,
    lambda a, b: a.tanh(),
    lambda a, b: a.relu(),
    lambda a, b: a.tanh().exp(),
    lambda a, b: (a * a + 0.5).log(),
    lambda a, b: a * a,
)


def run(program, leaves):
    """Apply operations to earlier results, and sum all of them: every node is used."""
    made = list(leaves)
    for op, i, j in program:
        made.append(OPS[op](made[i % len(made)], made[j % len(made)]))
        made[-1] = made[-1].tanh()  # keeps numbers small
    total = made[0]
    for v in made[1:]:
        total = total + v
    return total


STEPS = st.tuples(st.integers(0, len(OPS) - 1), st.integers(0, 99), st.integers(0, 99))


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=4), st.lists(STEPS, max_size=25))
def test_equal_to_torch_on_random_graphs(numbers, program):
    ours = [Value(x) for x in numbers]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    a, b = run(program, ours), run(program, theirs)
    a.backward()
    b.backward()
    assert a.data == pytest.approx(b.item(), rel=1e-12, abs=1e-12)
    for x, y in zip(ours, theirs, strict=True):
        assert x.grad == pytest.approx(y.grad.item(), rel=1e-10, abs=1e-10)


def test_a_node_used_twice_gets_both_contributions():
    x = Value(3.0)
    (x * x).backward()
    assert x.grad == 6.0


def test_backward_twice_doubles_leaves_and_not_more():
    x = Value(0.5)
    y = (x.tanh() * x).exp()
    y.backward()
    once = x.grad
    y.backward()
    assert x.grad == 2 * once
    zero_grad([x])
    assert x.grad == 0.0


def test_backward_of_a_leaf_and_of_shared_parts():
    x = Value(2.0)
    x.backward()
    assert x.grad == 1.0
    zero_grad([x])
    shared = x * x
    (shared + 1).backward()
    (shared * 10).backward()  # what the first pass left between does not count
    assert x.grad == 4.0 + 40.0


def test_depth_and_sharing_cost_nothing_special():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + 0.0
    y.backward()
    assert x.grad == 1.0
    assert len(topological(y)) == 100_001
    del y
    z = x
    for _ in range(900):
        z = z + z  # 2 ** 900 paths
    zero_grad([x])
    z.backward()
    assert x.grad == 2.0**900


def test_topological_order_is_stable_and_puts_parents_first():
    def graph():
        a, b = Value(1.0, "a"), Value(2.0, "b")
        return (a * b + a).tanh() * b

    root = graph()
    order = topological(root)
    assert [v.name or v.op for v in order] == ["a", "b", "*", "+", "tanh", "*"]
    assert list(graphview.names(root).values()) == ["a", "b", "v3", "v4", "v5", "v6"]
    place = {v: i for i, v in enumerate(order)}
    assert all(place[p] < place[v] for v in order for p in v.parents)
    assert [v.op for v in topological(graph())] == [v.op for v in order]


def test_partials_match_parents():
    x, y = Value(3.0), Value(-2.0)
    assert (x * y).parents == (x, y) and (x * y).partials == (-2.0, 3.0)
    assert (x * 5).partials == (5.0,)
    assert x.parents == x.partials == ()
    node = dot([x, y], [y, 4.0], x)
    assert node.parents == (x, x, y, y) and node.partials == (1.0, -2.0, 3.0, 4.0)


def test_fused_nodes_equal_one_node_an_operation():
    rng = np.random.default_rng(0)
    w, x = ([Value(v) for v in rng.normal(size=5)] for _ in range(2))
    bias = Value(0.3)
    dot(w, x, bias).tanh().backward()
    fused = [v.grad for v in (*w, *x, bias)]
    zero_grad([*w, *x, bias])
    sum((a * b for a, b in zip(w, x, strict=True)), bias).tanh().backward()
    np.testing.assert_allclose([v.grad for v in (*w, *x, bias)], fused, rtol=1e-14)
    assert dot(w[:1], [2.0]).data == 2 * w[0].data


@pytest.mark.parametrize("shift", [0.0, 900.0, -900.0])
def test_cross_entropy_equals_torch(shift):
    z = torch.tensor([0.2, -1.0, 2.5], dtype=torch.float64).add(shift).requires_grad_()
    ours = [Value(v) for v in z.tolist()]
    loss = cross_entropy(ours, 2)
    loss.backward()
    theirs = torch.nn.functional.cross_entropy(z[None], torch.tensor([2]))
    theirs.backward()
    assert loss.data == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose([v.grad for v in ours], z.grad, rtol=1e-12)
    assert cross_entropy([Value(5.0)], 0).data == 0.0


def test_backward_moves_no_parameter():
    x = Value(0.1)
    before = x.data.hex()
    (x.exp() * x).backward()
    assert x.data.hex() == before and x.grad != 0.0


def test_a_graph_keeps_the_numbers_that_it_was_made_with():
    x, y = Value(3.0), Value(2.0)
    z = x * y
    x.data = 100.0
    z.backward()
    assert (z.data, y.grad) == (6.0, 3.0)


def test_relu_at_zero_is_torchs_choice():
    x, t = Value(0.0), torch.zeros((), requires_grad=True)
    (x.relu() - (-x).relu()).backward()
    (t.relu() - (-t).relu()).backward()
    assert x.grad == t.grad.item() == 0.0  # the true derivative of this function, x, is 1


def test_graphs_hold_no_cycles():
    class Probe(str):
        """A name that can be watched."""

    gc.disable()
    try:
        x = Value(1.0)
        y = x.tanh()
        y.name = Probe("probe")
        gone = weakref.ref(y.name)
        z = (y * y).exp()
        z.backward()
        del y, z
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("bad", ["3", None, 1j, [1.0], torch.ones(2)])
def test_only_real_numbers(bad):
    with pytest.raises(TypeError, match="real number"):
        Value(bad)
    with pytest.raises(TypeError):
        Value(1.0) + bad
    with pytest.raises(TypeError):
        bad * Value(1.0)
    with pytest.raises(TypeError):
        dot([Value(1.0)], [bad])


def test_numpy_numbers_mix_and_arrays_do_not():
    assert (np.float64(2.0) * Value(3.0)).data == (Value(3.0) * np.float32(2.0)).data == 6.0
    with pytest.raises(TypeError, match="ndarray"):
        np.ones(2) * Value(1.0)
    with pytest.raises(TypeError):
        math.exp(Value(1.0))
    with pytest.raises(TypeError, match="Value"):
        Value(2.0) ** Value(3.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_leaves_are_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        Value(bad)
    with pytest.raises(ValueError, match="finite"):
        Value(1.0) * bad


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Value(0.0).log(), "above 0, got 0.0"),
        (lambda: Value(-1.0).log(), "above 0, got -1.0"),
        (lambda: Value(710.0).exp(), "709.78, got 710.0"),
        (lambda: Value(1.0) / 0, "division by zero: 1.0"),
        (lambda: Value(1.0) / Value(0.0), "division by zero"),
        (lambda: 1 / Value(0.0), "division by zero"),
        (lambda: Value(-2.0) ** 0.5, "-2.0"),
        (lambda: Value(0.0) ** 0.5, "derivative"),
        (lambda: Value(0.0) ** -1, "0.0"),
        (lambda: Value(1e200) ** 2, "overflows"),
        (lambda: Value(1e200) * Value(1e200), "not finite"),
        (lambda: dot([], []), "one weight an input"),
        (lambda: dot([Value(1.0)], [1.0, 2.0]), "got 1 and 2"),
        (lambda: cross_entropy([Value(1.0)], 1), "0..0, got 1"),
        (lambda: cross_entropy([], 0), "got 0"),
    ],
)
def test_errors_give_rule_and_value(make, says):
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        make()


def test_a_gradient_that_overflows_is_named():
    x = Value(1e-200, "x")
    y = x * 1e300
    with pytest.raises(ValueError, match="x overflows"):
        (y * 1e100).backward()


def test_powers_of_zero_are_smooth_where_they_are():
    for n, slope in ((0, 0.0), (1, 1.0), (2, 0.0), (3, 0.0)):
        x = Value(0.0)
        (x**n).backward()
        assert x.grad == slope


def test_table_and_picture():
    x, w = Value(2.0, "x"), Value(-1.5, "w")
    loss = (w * x + 1.0).tanh() ** 2
    loss.backward()
    text = graphview.table(loss).splitlines()
    assert text[1].split() == ["w", "leaf", "-1.5", "-0.2724"]
    assert text[3].split()[:2] == ["v3", "*(w,"] and len(text) == 7
    fig, ax = plots.figure()
    graphview.draw(ax, loss)
    svg = plots.show(fig, "graph", alt="a graph").svg
    assert "tanh" in svg and "−0.272" in svg
    wide = x
    for _ in range(50):
        wide = wide + x
    with pytest.raises(ValueError, match="at most 40"):
        graphview.draw(ax, wide)


def test_layout_lets_no_two_nodes_overlap():
    leaves = [Value(float(i)) for i in range(4)]
    root = dot(leaves, leaves[::-1]) + leaves[0] * leaves[1] + leaves[2] * leaves[3]
    places = list(graphview.layout(root).values())
    assert all(
        a[0] != b[0] or abs(a[1] - b[1]) >= 1 for i, a in enumerate(places) for b in places[:i]
    )


def test_public_names_are_documented():
    for name in autograd.__all__:
        assert getattr(autograd, name).__doc__
