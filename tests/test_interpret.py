"""Induction is scored where it is known, parts come out cleanly, stages survive their packing."""

import json
from pathlib import Path

import pytest
import torch

import llmcourse
from llmcourse import interpret
from llmcourse.checkpoint import dequantize_rows, quantize_rows
from llmcourse.gpt import GPT, GPTConfig, Trace

FORM = dict(vocab_size=40, context=24, width=16, heads=2, layers=2, init_std=None)


def model(**fields) -> GPT:
    return GPT(GPTConfig(**(FORM | fields)), seed=1).eval()


def test_repeated_random_is_two_equal_copies_of_distinct_tokens():
    ids = interpret.repeated_random(vocab_size=40, period=12, n=5, seed=3)
    assert ids.shape == (5, 24)
    assert torch.equal(ids[:, :12], ids[:, 12:])
    assert all(len(set(row[:12].tolist())) == 12 for row in ids)
    assert torch.equal(ids, interpret.repeated_random(vocab_size=40, period=12, n=5, seed=3))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (dict(vocab_size=5, period=6, n=1), "vocab_size >= period"),
        (dict(vocab_size=5, period=0, n=1), "at least 1"),
    ],
)
def test_repeated_random_says_what_it_needs(given, rule):
    with pytest.raises(ValueError, match=rule):
        interpret.repeated_random(**given, seed=0)


class Puppet(GPT):
    """A model of one layer whose two heads do induction and look at the previous token."""

    def __init__(self, ids, period):
        super().__init__(GPTConfig(**(FORM | dict(layers=1))))
        B, T = ids.shape
        attention = torch.zeros(1, B, 2, T, T)
        for t in range(T):
            attention[0, :, 0, t, t - period + 1 if t >= period else 0] = 1.0
            attention[0, :, 1, t, max(t - 1, 0)] = 1.0
        logits = torch.zeros(B, T, 40)
        for t in range(period, T - 1):  # knows the copy
            logits[torch.arange(B), t, ids[:, t + 1]] = 50.0
        residual = torch.zeros(2, B, T, 16)
        self.shown = Trace(logits=logits, residual=residual, attention=attention)

    def trace(self, ids):
        return self.shown


def test_a_perfect_head_scores_one_and_the_copy_is_free():
    ids = interpret.repeated_random(vocab_size=40, period=12, n=3, seed=0)
    found = interpret.induction(Puppet(ids, 12), ids, period=12)
    torch.testing.assert_close(found.prefix, torch.tensor([[1.0, 0.0]]))
    assert found.previous[0, 1] == 1.0
    assert found.previous[0, 0] < 0.1
    assert found.second < 1e-6
    assert found.first == pytest.approx(torch.tensor(40.0).log().item(), rel=1e-5)
    assert found.gain == found.first - found.second


def test_induction_agrees_with_a_loop():
    net = model()
    ids = interpret.repeated_random(vocab_size=40, period=8, n=2, seed=0)
    found = interpret.induction(net, ids, period=8)
    trace = net.trace(ids)
    for layer in range(2):
        for head in range(2):
            w = trace.attention[layer, :, head]
            mean = torch.stack([w[:, t, t - 7] for t in range(8, 16)]).mean()
            torch.testing.assert_close(found.prefix[layer, head], mean)
            mean = torch.stack([w[:, t, t - 1] for t in range(1, 16)]).mean()
            torch.testing.assert_close(found.previous[layer, head], mean)
    logp = trace.logits.log_softmax(-1)
    second = [-logp[b, t, ids[b, t + 1]] for b in range(2) for t in range(8, 15)]
    assert found.second == pytest.approx(torch.stack(second).mean().item(), rel=1e-5)


def test_induction_refuses_what_is_not_repeated():
    ids = torch.arange(16)[None]
    with pytest.raises(ValueError, match="two equal copies"):
        interpret.induction(model(), ids, period=8)


def test_the_last_lens_is_the_model_and_the_first_reads_the_embedding():
    net, ids = model(), torch.arange(10)[None]
    lens = interpret.logit_lens(net, ids)
    assert lens.shape == (3, 1, 10, 40)
    torch.testing.assert_close(lens[-1], net(ids)[0].log_softmax(-1))
    torch.testing.assert_close(lens[0], net.unembed(net.embed(ids)).log_softmax(-1))


def test_without_leaves_the_rest():
    ids = torch.arange(10)[None]
    net = model()
    x = net.embed(ids)
    for block in net.blocks:
        x = x + block.attention(block.norm1(x))
    torch.testing.assert_close(interpret.without(net, "mlp")(ids)[0], net.unembed(x))

    net = model()
    x = net.embed(ids)
    for block in net.blocks:
        x = x + block.mlp(block.norm2(x))
    torch.testing.assert_close(interpret.without(net, "attention")(ids)[0], net.unembed(x))

    net = model()
    x = net.embed(ids)
    for block in net.blocks:
        x = block.mlp(block.norm2(block.attention(block.norm1(x))))
    torch.testing.assert_close(interpret.without(net, "residual")(ids)[0], net.unembed(x))

    net = model()
    x = net.embed(ids)
    for block in net.blocks:
        x = x + block.attention(x)
        x = x + block.mlp(x)
    torch.testing.assert_close(interpret.without(net, "norm")(ids)[0], x @ net.embed.weight.T)


def test_without_says_what_can_be_taken():
    with pytest.raises(ValueError, match="part must be one of"):
        interpret.without(model(), "head")
    with pytest.raises(ValueError, match="'pre'"):
        interpret.without(model(norm_place="post"), "mlp")


def test_stages_are_what_was_packed_but_for_rounding(tmp_path):
    nets = {step: interpret.without(model(), "mlp") for step in (30, 7)}
    (tmp_path / "layers-2.safetensors").write_bytes(interpret.pack(nets))
    back = interpret.stages(2, tmp_path)
    assert list(back) == [7, 30]
    for name, weight in nets[7].state_dict().items():
        whole = dequantize_rows(*quantize_rows(weight)) if weight.ndim == 2 else weight
        torch.testing.assert_close(back[7].state_dict()[name], whole)
    with pytest.raises(ValueError, match="no stages of a model of 3 layers"):
        interpret.stages(3, tmp_path)
    with pytest.raises(ValueError, match="one configuration"):
        interpret.pack({})


def test_what_ships_shows_induction_in_two_layers_and_not_in_one():
    ids = interpret.repeated_random(vocab_size=64, period=24, n=16, seed=9)
    two, one = interpret.stages(2), interpret.stages(1)
    before = interpret.induction(two[min(two)], ids, period=24)
    after = interpret.induction(two[max(two)], ids, period=24)
    control = interpret.induction(one[max(one)], ids, period=24)
    assert before.prefix.max() < 0.1 < 0.6 < after.prefix.max()
    assert after.second < 0.6 < 2.0 < control.second
    assert control.prefix.max() < 0.15
    home = Path(llmcourse.__file__).parent
    size = sum(p.stat().st_size for p in (home / "models" / "induction").iterdir())
    assert size < 1_000_000
    curves = json.loads((home / "results" / "induction.json").read_text())["curves"]
    assert len(curves) == 6
