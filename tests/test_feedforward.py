"""Bengio's model: equal to the definition written out, blind beyond its window, of the one face."""

import doctest
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import checkpoint, evaluate, feedforward
from llmcourse.feedforward import FeedForward, FeedForwardConfig, windows


def small(seed=0, **options):
    form = {"order": 4, "width": 3, "hidden": 5} | options
    return FeedForward(FeedForwardConfig(vocab_size=13, **form), seed=seed).eval()


def stirred(model, seed=0):
    """The same model with no weight at zero, so that each can matter."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.5, generator=g)
    return model


def ids(batch=3, length=6, seed=0):
    return torch.randint(13, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("direct", [False, True])
def test_logits_by_the_formula_one_position_at_a_time(direct):
    model, x = stirred(small(direct=direct)).double(), ids()
    C = model.embed.weight
    logits, _ = model(x)
    for b in range(3):
        for t in range(6):
            seen = [C[x[b, s]] if s >= 0 else torch.zeros(3).double() for s in range(t - 2, t + 1)]
            v = torch.cat(seen)
            want = model.out.weight @ torch.tanh(model.hidden.weight @ v + model.hidden.bias)
            want = want + model.out.bias
            if direct:
                want = want + model.direct.weight @ v
            torch.testing.assert_close(logits[b, t], want)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 6), length=st.integers(1, 8))
def test_windows_hold_the_last_n_oldest_first(n, length):
    x = torch.arange(1.0, length + 1)[None, :, None] * torch.tensor([1.0, 10.0])
    got = windows(x, n).unflatten(-1, (n, 2))
    for t in range(length):
        for k in range(n):
            s = t - (n - 1) + k
            want = x[0, s] if s >= 0 else torch.zeros(2)
            assert torch.equal(got[0, t, k], want)


def test_sees_its_window_and_nothing_else():
    model, x = stirred(small(order=4)), ids(length=8)
    a = model(x)[0]
    changed = x.clone()
    changed[:, 3] = (x[:, 3] + 1) % 13
    moved = [not torch.equal(a[:, t], model(changed)[0][:, t]) for t in range(8)]
    assert moved == [False, False, False, True, True, True, False, False]


def test_starts_at_uniform():
    loss = small(direct=True)(ids(), ids(seed=1))[1]
    assert loss.item() == pytest.approx(math.log(13), abs=1e-6)


def test_ignored_targets_do_not_count():
    model, x = stirred(small()), ids()
    y = x.roll(-1, 1)
    y[:, 3:] = -100
    logits, loss = model(x, y)
    torch.testing.assert_close(
        loss, -logits.log_softmax(-1)[:, :3].gather(-1, y[:, :3, None]).mean()
    )
    assert model(x)[1] is None


@pytest.mark.parametrize("direct", [False, True])
def test_parameters_by_formula(direct):
    V, n, D, H = 13, 3, 3, 5
    free = V * n * D if direct else 0
    assert small(direct=direct).parameter_count() == V * D + (n * D + 1) * H + (H + 1) * V + free


def test_weights_depend_on_seed_alone_and_leave_global_chance_as_it_was():
    torch.manual_seed(5)
    a = small()
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), small().parameters(), strict=True))
    assert not torch.equal(a.embed.weight, small(seed=1).embed.weight)


def test_gradients_flow_to_every_weight():
    model = stirred(small(direct=True))
    model(ids(), ids(seed=1))[1].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_learns_what_lies_in_its_window_and_not_what_lies_beyond():
    """The last token repeats the one `gap` before it: order gap + 1 can know, order gap cannot."""
    g = torch.Generator().manual_seed(0)
    losses = {}
    for order in (3, 4):
        model = small(order=order, width=8, hidden=32)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(300):
            x = torch.randint(13, (64, 3), generator=g)
            y = torch.full_like(x, -100)
            y[:, 2] = x[:, 0]
            optimizer.zero_grad()
            loss = model(x, y)[1]
            loss.backward()
            optimizer.step()
        losses[order] = loss.item()
    assert losses[4] < 0.05 and losses[3] > 0.9 * math.log(13)


def test_serves_the_scores_and_the_checkpoints(tmp_path):
    model = stirred(small(direct=True))
    rows = [[0, 3, 4, 5, 1], [0, 2, 1]]
    alone = [evaluate.token_nats(model, [row])[0] for row in rows]
    for together, single in zip(evaluate.token_nats(model, rows), alone, strict=True):
        assert together == pytest.approx(single, abs=1e-5)
    long = ids(batch=1, length=40)[0]
    whole = evaluate.token_nats(model, [long])[0]
    cut = evaluate.sequence_nats(model, long, context=16, stride=8)
    assert cut == pytest.approx(whole, abs=1e-5)  # a window of three words loses nothing
    checkpoint.save(model, tmp_path / "kept")
    again = checkpoint.load(tmp_path / "kept")
    assert torch.equal(again(ids())[0], model(ids())[0])


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: FeedForwardConfig(vocab_size=0), "vocab_size must be at least 1, got 0"),
        (lambda: FeedForwardConfig(vocab_size=5, order=1), "order must be at least 2, got 1"),
        (lambda: FeedForwardConfig(vocab_size=5, hidden=0), "hidden must be at least 1, got 0"),
        (lambda: windows(torch.zeros(1, 2, 3), 0), "at least 1 vector, got 0"),
        (lambda: small()(torch.tensor([[13]])), "got 13"),
        (lambda: small()(ids(), torch.full_like(ids(), -100)), "no target counts"),
    ],
)
def test_bad_input_gives_rule_and_value(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


def test_sizes_are_whole_numbers():
    with pytest.raises(TypeError, match="width must be an int, got True"):
        FeedForwardConfig(vocab_size=5, width=True)


def test_examples_in_docstrings():
    assert doctest.testmod(feedforward).failed == 0
