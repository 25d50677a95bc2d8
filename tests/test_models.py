"""What ships is what was measured, and the recipe that made it runs."""

import json

import pytest
import torch

from llmcourse import checkpoint, data, evaluate, hf, models, sample, tales
from llmcourse.models import gpt2_mini
from llmcourse.models import tales as recipe

BOTH = pytest.mark.parametrize("language", tales.LANGUAGES)


def test_the_shipped_model_is_small_and_of_the_modern_form():
    model, tokenizer = models.load("tales")
    assert 1.5e6 <= model.parameter_count() <= 2.2e6
    size = sum(f.stat().st_size for f in recipe.HOME.iterdir())
    assert size <= 2.6e6
    assert model.config.vocab_size == tokenizer.vocab_size
    assert (model.config.norm, model.config.positions, model.config.mlp) == (
        "rms",
        "rope",
        "swiglu",
    )
    assert not model.training


@BOTH
def test_the_shipped_weights_are_as_near_the_truth_as_is_written_beside_them(language):
    """On stories other than those of the note; the bound allows for both samples' chance."""
    model, _ = models.load("tales")
    noted = models.about("tales")["measured"][language]
    gaps = recipe.excess(model, language, split="dev", n=120)
    seen = evaluate.bootstrap(gaps, seed=0, level=0.999)
    assert seen.low <= noted["high"] and noted["low"] <= seen.high
    assert noted["share"] == pytest.approx(noted["excess_bits"] / tales.entropy(language))


def test_the_shipped_model_is_of_the_present_language():
    """A change of the grammar makes the model, and its note, stale."""
    assert models.about("tales")["entropy"] == pytest.approx(tales.entropy(), abs=1e-9)


def test_the_student_scores_what_is_written_beside_it():
    student, tokenizer = models.load("student")
    large, _ = models.load("tales")
    assert student.config.vocab_size == large.config.vocab_size == tokenizer.vocab_size
    assert student.parameter_count() == models.about("student")["parameters"]
    low, _, high = models.about("student")["excess bits"]
    seen = evaluate.bootstrap(recipe.excess(student, "en", split="dev", n=120), seed=0, level=0.999)
    assert seen.low <= high and low <= seen.high


def test_an_unknown_model_is_refused_by_name():
    with pytest.raises(ValueError, match=r"ships the models \('tales', .*\), got 'gpt-5'"):
        models.load("gpt-5")


def test_the_recipe_runs_whole_and_writes_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "FORM", dict(context=128, width=16, layers=1, heads=2))
    real = recipe.measured
    monkeypatch.setattr(recipe, "measured", lambda model: real(model, n=4))
    about = recipe.make(scale=1e-9, stories=40, runs=tmp_path / "runs", out=tmp_path / "out")
    assert about["steps"] == len(recipe.PHASES)
    assert checkpoint.read_extra(tmp_path / "out") == json.loads(json.dumps(about))
    assert checkpoint.load(tmp_path / "out").config.width == 16


def test_gpt2_mini_is_gpt2_in_everything_but_size():
    model, tokenizer = models.load("gpt2-mini")
    assert hf.form_of(model.config) == "gpt2"
    assert model.parameter_count() == models.about("gpt2-mini")["parameters"]
    assert model.config.vocab_size == tokenizer.vocab_size == 1024
    assert tokenizer.special_tokens == {hf.END: 1023}  # the last, as GPT-2's
    assert not model.training
    folder = models.path("gpt2-mini")
    assert sum(f.stat().st_size for f in folder.iterdir()) < 4e6
    assert {"vocab.json", "merges.txt", "tokenizer.json"} <= {f.name for f in folder.iterdir()}


def test_gpt2_mini_scores_what_is_written_beside_it():
    corpus, about = data.load("python-docs"), models.about("gpt2-mini")
    if corpus.sha256 != about["text"]["sha256"]:
        pytest.skip("this Python's documentation is another text than the model was trained on")
    dev = data.split(corpus, gpt2_mini.PARTS).dev
    got = gpt2_mini.bits_per_byte(*models.load("gpt2-mini"), dev)
    assert got == pytest.approx(about["dev bits per byte"], abs=1e-3)


def test_transformers_opens_gpt2_mini_and_writes_the_same():
    transformers = pytest.importorskip("transformers", reason="the book extra brings the peer")
    folder = models.path("gpt2-mini")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    reader = transformers.AutoTokenizer.from_pretrained(folder)
    model, tokenizer = models.load("gpt2-mini")
    text = "The following statement,\n    naïve 词元"
    ids = tokenizer.encode(text)
    assert reader.encode(text) == ids
    out = theirs.generate(torch.tensor([ids]), max_new_tokens=20, do_sample=False)[0].tolist()
    assert out == [*ids, *sample.generate(model, ids, max_new=20, temperature=0)]


def test_the_recipe_of_gpt2_mini_runs_whole(tmp_path, monkeypatch):
    form = dict(vocab_size=300, context=64, width=16, layers=1, heads=2)
    monkeypatch.setattr(gpt2_mini, "FORM", form)
    about = gpt2_mini.make(steps=2, out=tmp_path, lr=1e-3)
    assert json.loads((tmp_path / "training.json").read_text()) == json.loads(json.dumps(about))
    assert 0 < about["test bits per byte"] < 8
    model, _ = hf.load(tmp_path)
    assert model.config.width == 16


def test_a_trial_does_not_look_at_the_test_part(tmp_path, monkeypatch):
    form = dict(vocab_size=300, context=64, width=16, layers=1, heads=2)
    monkeypatch.setattr(gpt2_mini, "FORM", form)
    about = gpt2_mini.make(steps=1, out=tmp_path, lr=1e-3, trial=True)
    assert "test bits per byte" not in about
