"""Hugging Face interchange: both ways, both forms, and what a broken folder gets."""

import json

import pytest
import torch

from llmcourse import data, hf
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.sample import generate
from llmcourse.tokenizers import BPE

transformers = pytest.importorskip("transformers", reason="the book extra brings the peer")

SMALL = dict(vocab_size=97, context=24, width=32, heads=4, layers=2)


def gpt2(**fields):
    return GPTConfig.gpt2_form(**(SMALL | {"hidden": 72} | fields))


def llama(**fields):
    return GPTConfig(**(SMALL | {"kv_heads": 2, "hidden": 40} | fields))


FORMS = {
    "gpt2": gpt2(),
    "gpt2, untied": gpt2(tied=False, eps=1e-6),
    "llama": llama(),
    "llama, untied": llama(tied=False, rope_theta=500.0),
    "llama, one key head": llama(kv_heads=1),
    "llama, interleaved": llama(rope_layout="interleaved"),
    "llama, linear": llama(rope_scale=4.0),
    "llama, ntk": llama(rope_scale=4.0, rope_scaling="ntk"),
    "llama, yarn": llama(rope_scale=4.0, rope_scaling="yarn", rope_trained=6),
}


@pytest.fixture(params=FORMS, ids=list(FORMS))
def ours(request):
    model = GPT(FORMS[request.param], seed=3).eval()
    with torch.no_grad():  # no weight may be one that a wrong place would not show
        generator = torch.Generator().manual_seed(4)
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generator))
    return model


@pytest.fixture
def ids():
    return torch.randint(97, (3, 24), generator=torch.Generator().manual_seed(5))


def logits(model, ids):
    with torch.no_grad():
        out = model(ids)
    return out[0] if isinstance(out, tuple) else out.logits


def test_logits_are_theirs_and_come_back(ours, ids):
    theirs = hf.to_hf(ours)
    torch.testing.assert_close(logits(theirs, ids), logits(ours, ids), atol=1e-5, rtol=1e-5)
    back = hf.from_hf(theirs)
    torch.testing.assert_close(logits(back, ids), logits(ours, ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_their_own_weights_give_their_logits(kind, tied, ids):
    torch.manual_seed(0)
    values = hf.config_to_hf((gpt2 if kind == "gpt2" else llama)(tied=tied))
    config = transformers.AutoConfig.for_model(**values)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    torch.testing.assert_close(
        logits(hf.from_hf(theirs), ids), logits(theirs, ids), atol=1e-5, rtol=1e-5
    )


@pytest.fixture(scope="module")
def bpe():
    text = data.load("python-docs").text[:30_000]
    return BPE.train(text, vocab_size=300, special_tokens=["<|endoftext|>"])


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_saved_folder_is_theirs_and_ours(kind, bpe, tmp_path):
    make = gpt2 if kind == "gpt2" else llama
    model = GPT(make(vocab_size=300, context=64), seed=1).eval()
    hf.save(model, tmp_path, bpe)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "The value of the expression, naïvely: 'x = 12345'\n\n    <|endoftext|>"
    ids = their_tokenizer(text)["input_ids"]
    assert ids == bpe.encode(text, "all")
    assert their_tokenizer.decode(ids) == bpe.decode(ids)
    assert their_tokenizer.eos_token_id == bpe.special_tokens["<|endoftext|>"]
    prompt = torch.tensor([bpe.encode("The value of")])
    written = theirs.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False,
        pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    ours = generate(model, prompt[0].tolist(), max_new=20, temperature=0)
    assert written[0].tolist() == prompt[0].tolist() + ours
    again, tokenizer = hf.load(tmp_path)
    torch.testing.assert_close(logits(again, prompt), logits(model, prompt))
    assert tokenizer.encode(text, "all") == ids


def test_what_they_save_we_load(bpe, tmp_path):
    model = hf.to_hf(GPT(gpt2(vocab_size=300), seed=2))
    model.save_pretrained(tmp_path, max_shard_size="40KB")  # several files and an index
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    bpe.to_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")
    ours, tokenizer = hf.load(tmp_path)
    ids = torch.tensor([tokenizer.encode("Return the value.")])
    torch.testing.assert_close(logits(ours, ids), logits(model, ids), atol=1e-5, rtol=1e-5)
    next(iter(tmp_path.glob("*.safetensors"))).unlink()
    with pytest.raises(FileNotFoundError, match="a model folder needs model-"):
        hf.load(tmp_path)


def test_the_hub_keeps_gpt2_without_its_prefix(ours, ids):
    if ours.config.positions != "learned":
        pytest.skip("GPT-2's alone")
    theirs = hf.to_hf(ours)
    bare = {k.removeprefix("transformer."): v for k, v in theirs.state_dict().items()}
    theirs.state_dict = lambda: bare
    torch.testing.assert_close(logits(hf.from_hf(theirs), ids), logits(ours, ids))


def test_the_file_may_be_half_as_large(tmp_path, bpe):
    model = GPT(gpt2(vocab_size=300), seed=2)
    full = hf.save(model, tmp_path / "full", bpe) / "model.safetensors"
    half = hf.save(model, tmp_path / "half", bpe, dtype=torch.float16) / "model.safetensors"
    assert half.stat().st_size < 0.55 * full.stat().st_size
    ids = torch.tensor([[1, 2, 3]])
    close = dict(atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(logits(hf.load(half.parent)[0], ids), logits(model, ids), **close)


@pytest.mark.parametrize(
    "config, named",
    [
        (GPTConfig.modern(**SMALL), "qk_norm=True"),
        (llama(norm_place="post"), "norm_place='post'"),
        (llama(window=8), "window=8"),
        (gpt2(kv_heads=2), "kv_heads=2"),
        (gpt2(positions="sinusoidal"), "positions='sinusoidal'"),
    ],
)
def test_a_model_that_no_layout_fits_is_refused(config, named):
    with pytest.raises(ValueError, match=f"no Hugging Face layout fits.*{named}"):
        hf.form_of(config)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"model_type": "bert"}, "model_type must be one of"),
        ({"activation_function": "relu"}, "activation_function must be one of"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ],
)
def test_a_foreign_setting_that_we_have_not_is_refused(change, named):
    with pytest.raises(ValueError, match=named):
        hf.config_from_hf(hf.config_to_hf(gpt2()) | change)


def test_a_config_without_a_size_is_refused():
    values = hf.config_to_hf(llama())
    del values["hidden_size"]
    with pytest.raises(ValueError, match="lacks 'hidden_size'"):
        hf.config_from_hf(values)
    values = hf.config_to_hf(llama()) | {"rope_parameters": {"rope_type": "llama3"}}
    with pytest.raises(ValueError, match=r"rope_type must be .* got 'llama3'"):
        hf.config_from_hf(values)


def test_a_tokenizer_that_does_not_fit_is_refused(bpe, tmp_path):
    with pytest.raises(ValueError, match="has 300 tokens, the model 97"):
        hf.save(GPT(gpt2()), tmp_path / "none", bpe)
    assert not (tmp_path / "none").exists()
    hf.save(GPT(gpt2()), tmp_path)
    bpe.to_hf(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match="has 300 tokens, the model 97"):
        hf.load(tmp_path)


@pytest.mark.parametrize("lacks", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_says_which(lacks, bpe, tmp_path):
    hf.save(GPT(gpt2(vocab_size=300)), tmp_path, bpe)
    (tmp_path / lacks).unlink()
    with pytest.raises(FileNotFoundError, match=f"needs {lacks}"):
        hf.load(tmp_path)


def test_a_folder_without_a_tokenizer_says_so(bpe, tmp_path):
    hf.save(GPT(gpt2(vocab_size=300)), tmp_path, bpe)
    (tmp_path / "tokenizer.json").unlink()
    assert hf.load(tmp_path)[1].vocab_size == 300  # GPT-2's own two files are enough
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no merges\.txt"):
        hf.load(tmp_path)


def test_weights_of_another_shape_are_refused(bpe, tmp_path):
    hf.save(GPT(gpt2(vocab_size=300)), tmp_path, bpe)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_inner": 80}))
    with pytest.raises(ValueError, match=r"must fill blocks\.0\.mlp\.up\.weight \(80, 32\)"):
        hf.load(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_inner": 72, "n_layer": 3}))
    with pytest.raises(ValueError, match=r"lacks the tensor 'transformer\.h\.2"):
        hf.load(tmp_path)


def test_a_name_that_the_hub_does_not_give_says_what_to_use(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub

    def offline(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(FileNotFoundError, match=r"'gpt2' is no folder here.*gpt2-mini"):
        hf.load("gpt2")
