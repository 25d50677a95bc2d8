"""RNN and LSTM in plain sight are torch's, and their face is the GPT's."""

import doctest
import math

import pytest
import torch
from torch import nn

from llmcourse import checkpoint, rnn
from llmcourse.rnn import LSTM, RNN, RNNConfig, lstm_step, rnn_step


def small(kind=LSTM, **options):
    return kind(RNNConfig(vocab_size=13, width=8, **options), seed=0).eval()


both = pytest.mark.parametrize("kind", [RNN, LSTM])


def ids(batch=3, length=6, seed=0):
    return torch.randint(13, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_a_step_agrees_with_torch():
    cell = nn.LSTMCell(5, 7).double()
    g = torch.Generator().manual_seed(0)
    x, h, c = (torch.randn(4, n, generator=g, dtype=torch.float64) for n in (5, 7, 7))
    ours = lstm_step(x, h, c, cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh)
    torch.testing.assert_close(ours, cell(x, (h, c)))


def test_a_simple_step_agrees_with_torch():
    cell = nn.RNNCell(5, 7).double()
    g = torch.Generator().manual_seed(0)
    x, h = (torch.randn(4, n, generator=g, dtype=torch.float64) for n in (5, 7))
    ours = rnn_step(x, h, cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh)
    torch.testing.assert_close(ours, cell(x, h))


@both
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_unrolled_steps_equal_the_fast_path(kind, layers, tied):
    model = small(kind, layers=layers, tied=tied).double()
    torch.testing.assert_close(model.unroll(ids()), model(ids())[0])


def test_reading_in_pieces_equals_reading_at_once():
    model, x = small(layers=2), ids()
    cache = model.cache(batch=3)
    pieces = torch.cat([model(x[:, :2], cache=cache)[0], model(x[:, 2:], cache=cache)[0]], dim=1)
    torch.testing.assert_close(pieces, model(x)[0])
    assert cache.used == 6


@both
def test_causal(kind):
    model, x = small(kind), ids()
    changed = x.clone()
    changed[:, 4] = (x[:, 4] + 1) % 13
    a, b = model(x)[0], model(changed)[0]
    assert torch.equal(a[:, :4], b[:, :4]) and not torch.equal(a[:, 4:], b[:, 4:])


@both
def test_ignored_targets_do_not_count(kind):
    model, x = small(kind), ids()
    y = x.roll(-1, 1)
    y[:, 3:] = -100
    logits, loss = model(x, y)
    nats = -logits.log_softmax(-1)[:, :3].gather(-1, y[:, :3, None]).mean()
    torch.testing.assert_close(loss, nats)
    assert model(x)[1] is None


def test_weights_depend_on_seed_alone_and_leave_global_chance_as_it_was():
    torch.manual_seed(5)
    a = small()
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    torch.manual_seed(99)
    b = small()
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    other = LSTM(a.config, seed=1)
    assert not torch.equal(a.embed.weight, other.embed.weight)


def test_parameters_by_formula_and_a_start_at_uniform():
    V, D, L = 13, 8, 2
    model = small(layers=L)
    assert model.parameter_count() == V * D + L * (8 * D * D + 8 * D)
    assert small(RNN, layers=L).parameter_count() == V * D + L * (2 * D * D + 2 * D)
    loss = model(ids(), ids(seed=1))[1].detach()
    assert float(loss) == pytest.approx(math.log(V), abs=0.3)


def test_dropout_only_in_training():
    model = small(dropout=0.5)
    assert torch.equal(model(ids())[0], model(ids())[0])
    model.train()
    assert not torch.equal(model(ids())[0], model(ids())[0])


def test_it_remembers_what_no_trigram_can():
    """The last token repeats the first, over a gap of five that say nothing."""
    g = torch.Generator().manual_seed(0)

    def batch(n):
        x = torch.randint(2, 13, (n, 7), generator=g)
        x[:, 0] = torch.randint(2, (n,), generator=g)
        x[:, 6] = x[:, 0]
        return x

    model = LSTM(RNNConfig(vocab_size=13, width=32), seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        x = batch(32)
        y = torch.full((32, 6), -100)
        y[:, 5] = x[:, 6]
        optimizer.zero_grad()
        model(x[:, :-1], y)[1].backward()
        optimizer.step()
    x = batch(200)
    right = model(x[:, :-1])[0][:, -1].argmax(-1) == x[:, -1]
    assert right.float().mean() > 0.98


@both
def test_gradients_flow_to_every_weight(kind):
    model = small(kind, layers=2, tied=False)
    model(ids(), ids(seed=1))[1].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@both
def test_kept_and_opened_again(kind, tmp_path):
    model = small(kind, layers=2)
    checkpoint.save(model, tmp_path / "kept")
    again = checkpoint.load(tmp_path / "kept")
    assert type(again) is kind and torch.equal(again(ids())[0], model(ids())[0])


def test_parameters_keep_their_names():
    """A checkpoint written before must open after."""
    first = {name.split(".")[0] for name, _ in small(tied=False).named_parameters()}
    assert first == {"embed", "lstm", "head"}
    assert [name for name, _ in small(RNN).named_parameters()][:2] == [
        "embed.weight", "rnn.weight_ih_l0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: RNNConfig(vocab_size=0), "vocab_size must be at least 1, got 0"),
        (lambda: RNNConfig(vocab_size=5, layers=-1), "layers must be at least 1, got -1"),
        (lambda: RNNConfig(vocab_size=5, dropout=1.0), r"in \[0, 1\), got 1.0"),
        (lambda: small()(torch.tensor([[13]])), "got 13"),
        (lambda: small().unroll(torch.tensor([[-1]])), "got -1"),
        (lambda: small(RNN)(torch.tensor([[13]])), "got 13"),
        (lambda: small(RNN)(ids(), torch.full_like(ids(), -100)), "no target counts"),
        (lambda: small()(ids(), torch.full_like(ids(), -100)), "no target counts"),
    ],
)
def test_bad_input_gives_rule_and_value(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


def test_examples_in_docstrings():
    assert doctest.testmod(rnn).failed == 0
