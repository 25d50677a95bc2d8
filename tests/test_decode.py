"""The few-operations path computes what the model computes, or stands aside."""

import pytest
import torch

from llmcourse import layers, lora, sample
from llmcourse.decode import Decoder, understood
from llmcourse.gpt import GPT, GPTConfig

SIZE = dict(vocab_size=50, context=24, width=32, heads=4, layers=2)
FORMS = {
    "gpt2": GPTConfig.gpt2_form(**SIZE),
    "modern": GPTConfig.modern(**SIZE),
    "grouped": GPTConfig.modern(**SIZE, kv_heads=2),
    "interleaved, untied": GPTConfig(**SIZE, rope_layout="interleaved", tied=False, bias=True),
    "relu2, yarn": GPTConfig(**SIZE, mlp="relu2", rope_scale=2.0, rope_scaling="yarn"),
}
LEFT = {
    "window": GPTConfig.modern(**SIZE, window=4),
    "alibi": GPTConfig(**SIZE, positions="alibi"),
    "post-norm": GPTConfig.gpt2_form(**SIZE, norm_place="post"),
}


def noisy(config: GPTConfig) -> GPT:
    """A model none of whose parameters has its starting value, gains and biases included."""
    model = GPT(config, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn(p.shape, generator=generator)
    return model


@pytest.mark.parametrize("form", FORMS)
@torch.inference_mode()
def test_logits_and_cache_are_the_models(form):
    model = noisy(FORMS[form])
    ids = torch.randint(50, (1, 20), generator=torch.Generator().manual_seed(2))
    slow, fast = model.cache(), model.cache()
    model(ids[:, :5], cache=slow), model(ids[:, :5], cache=fast)
    decoder = Decoder(model, fast)
    for token in ids[0, 5:].tolist():
        expected = model(torch.tensor([[token]]), cache=slow)[0]
        torch.testing.assert_close(decoder(token), expected, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(fast.keys, slow.keys, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast.values, slow.values, atol=1e-5, rtol=1e-5)
    assert fast.used == slow.used == 20
    fast.truncate(7), slow.truncate(7)
    fast.reorder(torch.tensor([0]))  # new tensors: the decoder must follow
    expected = model(torch.tensor([[3]]), cache=slow)[0]
    torch.testing.assert_close(decoder(3), expected, atol=2e-5, rtol=1e-5)


@torch.inference_mode()
def test_what_the_model_refuses_is_refused_in_its_words():
    model = noisy(FORMS["modern"])
    cache = model.cache(length=2)
    decoder = Decoder(model, cache)
    with pytest.raises(ValueError, match=r"ids must be in 0\.\.49 .* got 50"):
        decoder(50)
    with pytest.raises(ValueError, match="got -1"):
        decoder(-1)
    decoder(1), decoder(2)
    with pytest.raises(ValueError, match="longer than the context of 2"):
        decoder(3)


@pytest.mark.parametrize("form", LEFT)
def test_other_forms_are_left_to_the_model(form):
    model = noisy(LEFT[form])
    assert not understood(model)
    with pytest.raises(ValueError, match="its own forward pass"):
        Decoder(model, model.cache())


def test_changed_models_are_left_to_themselves():
    model = noisy(FORMS["modern"])
    assert understood(model)
    with pytest.raises(ValueError, match="batch 1, got 2"):
        Decoder(model, model.cache(2))
    handle = model.blocks[0].mlp.register_forward_hook(lambda *_: None)
    assert not understood(model)
    handle.remove()
    assert understood(model)
    model.blocks[0].mlp.forward = lambda x: x
    assert not understood(model)
    del model.blocks[0].mlp.forward
    assert not understood(lora.add(model, lora.LoRAConfig(rank=2)))
    assert not understood(noisy(FORMS["gpt2"]).double())
    assert not understood(layers.Linear(2, 2))


def test_sampling_writes_the_same_text_either_way(monkeypatch):
    model = noisy(FORMS["grouped"])
    fast = sample.generate(model, [1, 2], max_new=20, temperature=0)
    monkeypatch.setattr(sample, "understood", lambda model: False)
    assert sample.generate(model, [1, 2], max_new=20, temperature=0) == fast
