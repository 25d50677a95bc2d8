"""LoRA: equal to peft, exact to merge and unmerge, and only the adapters learn."""

import copy

import pytest
import torch

from llmcourse import lora
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.lora import LoRAConfig
from llmcourse.train import TrainConfig, WindowBatches, train

CONFIG = GPTConfig(vocab_size=31, context=12, width=24, heads=3, layers=2, hidden=40)


@pytest.fixture
def model():
    return GPT(CONFIG, seed=1).eval()


@pytest.fixture
def adapted(model):
    """With a B that is not zero any more."""
    lora.add(model, LoRAConfig(rank=3, alpha=6.0), seed=2)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer in lora.adapters(model).values():
            layer.b.copy_(0.1 * torch.randn(layer.b.shape, generator=generator))
    return model


IDS = torch.randint(31, (4, 12), generator=torch.Generator().manual_seed(4))


def test_an_adapted_model_begins_as_the_model_it_was(model):
    before = model(IDS)[0]
    lora.add(model, LoRAConfig(), seed=0)
    assert torch.equal(model(IDS)[0], before)


@pytest.mark.parametrize("targets", [("qkv",), ("qkv", "o", "up", "down", "gate")])
def test_outputs_and_one_steps_gradients_are_pefts(targets):
    peft = pytest.importorskip("peft", reason="the test extra brings the peer")
    ours = GPT(CONFIG, seed=1)
    theirs = copy.deepcopy(ours)
    lora.add(ours, LoRAConfig(rank=4, alpha=10.0, targets=targets), seed=2)
    settings = peft.LoraConfig(r=4, lora_alpha=10, target_modules=list(targets), lora_dropout=0.0)
    peft.inject_adapter_in_model(settings, theirs)
    with torch.no_grad():
        for name, layer in lora.adapters(ours).items():
            layer.b.normal_(0, 0.1, generator=torch.Generator().manual_seed(5))
            peer = theirs.get_submodule(name)
            peer.lora_A["default"].weight.copy_(layer.a)
            peer.lora_B["default"].weight.copy_(layer.b)
    (logits, loss), (their_logits, their_loss) = ours(IDS, IDS), theirs(IDS, IDS)
    torch.testing.assert_close(logits, their_logits)
    loss.backward(), their_loss.backward()
    for name, layer in lora.adapters(ours).items():
        peer = theirs.get_submodule(name)
        torch.testing.assert_close(layer.a.grad, peer.lora_A["default"].weight.grad)
        torch.testing.assert_close(layer.b.grad, peer.lora_B["default"].weight.grad)
    trained = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    assert lora.count(ours)[0] == trained


def test_the_trained_parameters_are_counted(adapted):
    D, M, r = CONFIG.width, CONFIG.hidden, 3
    block = r * (D + 3 * D) + r * (D + D) + 2 * r * (D + M) + r * (M + D)
    assert lora.count(adapted) == (2 * block, CONFIG.parameter_count() + 2 * block)


def test_merging_changes_nothing_that_is_seen_and_unmerging_nothing_at_all(adapted):
    weights = {n: m.base.weight.clone() for n, m in lora.adapters(adapted).items()}
    before = adapted(IDS)[0]
    assert not torch.equal(before, GPT(CONFIG, seed=1)(IDS)[0])
    lora.merge(lora.merge(adapted))  # twice is once
    torch.testing.assert_close(adapted(IDS)[0], before, atol=1e-5, rtol=1e-5)
    for name, layer in lora.adapters(adapted).items():
        torch.testing.assert_close(layer.base.weight, weights[name] + layer.delta())
        assert torch.equal(layer.weight, layer.base.weight)
    lora.unmerge(adapted)
    assert torch.equal(adapted(IDS)[0], before)
    for name, layer in lora.adapters(adapted).items():
        assert torch.equal(layer.base.weight, weights[name])


def test_a_merged_model_without_its_adapters_is_a_plain_model(adapted):
    before = adapted(IDS)[0]
    lora.remove(lora.merge(adapted))
    assert not lora.adapters(adapted)
    assert all(p.requires_grad for p in adapted.parameters())
    assert set(adapted.state_dict()) == set(GPT(CONFIG).state_dict())
    torch.testing.assert_close(adapted(IDS)[0], before, atol=1e-5, rtol=1e-5)


def test_only_the_adapters_learn():
    # A frozen head must be able to tell tokens apart: untied, its rows are not tiny.
    model = GPT(GPTConfig(**CONFIG.to_dict() | {"tied": False, "init_std": None}), seed=1)
    lora.add(model, LoRAConfig(rank=2, dropout=0.1), seed=0)
    base = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    ids = torch.randint(31, (200,), generator=torch.Generator().manual_seed(6)) % 3
    batches = WindowBatches(ids, batch=4, context=12, seed=0)
    history = train(model, batches, TrainConfig(steps=40, lr=3e-2, log_every=1))
    losses = history.series("loss")[1]
    assert losses[-1] < losses[0] - 0.3
    assert all(torch.equal(p, base[n]) for n, p in model.named_parameters() if n in base)
    assert all(layer.b.abs().max() > 0 for layer in lora.adapters(model).values())


def test_the_adapters_alone_are_saved_and_loaded(adapted, tmp_path):
    folder = lora.save(adapted, tmp_path / "adapter")
    size = sum(f.stat().st_size for f in folder.iterdir())
    assert size < 4 * lora.count(adapted)[0] + 6_000
    again = lora.load(GPT(CONFIG, seed=1), folder).eval()
    assert torch.equal(again(IDS)[0], adapted(IDS)[0])


def test_layers_are_chosen_by_name(model):
    lora.add(model, LoRAConfig(targets=("qkv",)))
    assert set(lora.adapters(model)) == {"blocks.0.attention.qkv", "blocks.1.attention.qkv"}


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
        ({"targets": ()}, "targets must name at least one layer"),
    ],
)
def test_nonsense_settings_are_refused(fields, named):
    with pytest.raises(ValueError, match=named):
        LoRAConfig(**fields)


def test_a_rank_above_the_layer_is_refused_and_nothing_is_changed(model):
    names = set(model.state_dict())
    with pytest.raises(ValueError, match=r"at most 24, .* blocks\.0\.attention\.qkv \(72 × 24\)"):
        lora.add(model, LoRAConfig(rank=25))
    assert set(model.state_dict()) == names
    assert all(p.requires_grad for p in model.parameters())


def test_other_misuse_is_refused(model, adapted, tmp_path):
    with pytest.raises(ValueError, match="has 10 adapters already"):
        lora.add(adapted, LoRAConfig())
    plain = GPT(CONFIG)
    with pytest.raises(ValueError, match=r"targets must name linear .*'qkv'.* got .'query'"):
        lora.add(plain, LoRAConfig(targets=("query",)))
    with pytest.raises(ValueError, match="no adapters to save"):
        lora.save(plain, tmp_path)
    folder = lora.save(adapted, tmp_path / "adapter")
    other = GPT(GPTConfig(**{**CONFIG.to_dict(), "layers": 1}))
    with pytest.raises(ValueError, match="adapts another model: layers: model 1, adapter 2"):
        lora.load(other, folder)
    assert not lora.adapters(other)
    (folder / "adapter.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs adapter\.json"):
        lora.load(plain, folder)
