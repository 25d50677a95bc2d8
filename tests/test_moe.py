"""Laws of mixtures: equal to one token at a time, equal to a dense MLP, balanced at its least."""

import pytest
import torch

from llmcourse.gpt import GPT, MLP, GPTConfig
from llmcourse.moe import MoE, MoEConfig, MoEGPT, balance_loss, route

FORM = dict(vocab_size=20, context=16, width=16, heads=2, layers=2, zero_outputs=False)


def config(**fields):
    return GPTConfig.modern(**FORM, **fields)


def mixture(**fields):
    return MoEGPT(config(), MoEConfig(experts=4, active=2, **fields), seed=0)


def one_by_one(layer: MoE, x):
    """The definition: each token alone, each of its experts alone."""
    rows = []
    for token in x.reshape(-1, x.shape[-1]):
        p = layer.router(token).softmax(-1)
        best = p.topk(layer.moe.active).indices
        rows.append(sum(p[e] / p[best].sum() * layer.experts[int(e)](token) for e in best))
    return torch.stack(rows).view_as(x)


def test_equal_to_a_loop_over_tokens():
    layer = mixture().blocks[0].mlp
    x = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(x), one_by_one(layer, x))
    assert layer.dropped == 0 and float(layer.share.sum()) == pytest.approx(1)


def test_gradients_equal_to_a_loop_over_tokens():
    layer, x = mixture().blocks[0].mlp, torch.randn(2, 4, 16)
    for out in (layer(x), one_by_one(layer, x)):
        out.square().sum().backward()
        found = [None if p.grad is None else p.grad.clone() for p in layer.parameters()]
        layer.zero_grad()
        if out is not None and "first" not in locals():
            first = found
    for a, b in zip(first, found, strict=True):
        torch.testing.assert_close(a, b)


def test_one_expert_is_the_dense_mlp():
    dense = MLP(config())
    layer = MoE(config(), MoEConfig(experts=1, active=1))
    for p in dense.parameters():
        p.data.normal_(generator=torch.Generator().manual_seed(p.numel()))
    layer.experts[0].load_state_dict(dense.state_dict())
    x = torch.randn(2, 3, 16)
    torch.testing.assert_close(layer(x), dense(x))


def test_all_experts_active_is_a_weighted_sum():
    layer = MoE(config(), MoEConfig(experts=3, active=3))
    for p in layer.parameters():
        p.data.normal_(generator=torch.Generator().manual_seed(p.numel()))
    x = torch.randn(4, 16)
    p = layer.router(x).softmax(-1)
    whole = sum(p[:, e, None] * layer.experts[e](x) for e in range(3))
    torch.testing.assert_close(layer(x), whole)


def test_balance_is_one_at_its_least_and_e_when_collapsed():
    even = torch.full((8, 4), 0.25)
    chosen = torch.arange(8)[:, None] % 4
    assert float(balance_loss(even, chosen)) == pytest.approx(1)
    alone = torch.zeros(8, 4).index_fill_(1, torch.tensor([2]), 1.0)
    assert float(balance_loss(alone, torch.full((8, 1), 2))) == pytest.approx(4)


def test_weights_sum_to_one_and_are_the_largest():
    logits = torch.randn(7, 5)
    weights, chosen, p = route(logits, 2)
    torch.testing.assert_close(weights.sum(-1), torch.ones(7))
    assert torch.equal(chosen, p.topk(2).indices)


def test_loss_holds_the_balance_in_training_only():
    model, ids = mixture(balance=0.5), torch.tensor([[1, 2, 3, 4]])
    train_loss = model.train()(ids, ids)[1]
    extra = 0.5 * model.balance()
    torch.testing.assert_close(train_loss - model.eval()(ids, ids)[1], extra.detach() * 1.0)
    train_loss.backward()
    assert all(m.router.weight.grad.abs().sum() > 0 for m in model.mixtures())


def test_a_cache_changes_nothing_without_a_capacity():
    model, ids = mixture().eval(), torch.tensor([[1, 2, 3, 4, 5]])
    with torch.no_grad():
        whole, cache = model(ids)[0], model.cache()
        parts = [model(ids[:, i : i + 1], cache=cache)[0] for i in range(5)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


def test_a_capacity_drops_the_last_and_depends_on_the_company():
    model = mixture(capacity=0.5)
    layer, x = model.blocks[0].mlp, torch.randn(1, 12, 16)
    together, alone = layer(x), layer(x[:, -1:])
    assert layer(x) is not None and layer.dropped >= 0.4
    assert not torch.allclose(together[:, -1:], alone)


def test_counts_by_formula():
    model = mixture()
    assert model.active_parameters() < model.parameter_count()
    dense = GPT(config(), seed=0)
    router = 2 * FORM["layers"] * 16 * 4
    hidden = 2 * (dense.config.hidden // 2)
    same = GPTConfig.modern(**FORM, hidden=hidden).flops_per_token(8)
    assert model.flops_per_token(8) == same + router


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(experts=2, active=3), "3 of 2"),
        (dict(experts=0), "active must"),
        (dict(balance=-1.0), "balance"),
        (dict(capacity=0.0), "capacity"),
        (dict(hidden=0), "hidden"),
    ],
)
def test_nonsense_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        MoEConfig(**fields)
