"""What ships is what was measured, and the recipe that made it runs."""

import json

import pytest

from llmcourse import checkpoint, evaluate, models, tales
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


def test_an_unknown_model_is_refused_by_name():
    with pytest.raises(ValueError, match=r"ships the models \('tales',\), got 'gpt-5'"):
        models.load("gpt-5")


def test_the_recipe_runs_whole_and_writes_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "FORM", dict(context=128, width=16, layers=1, heads=2))
    real = recipe.measured
    monkeypatch.setattr(recipe, "measured", lambda model: real(model, n=4))
    about = recipe.make(scale=1e-9, stories=40, runs=tmp_path / "runs", out=tmp_path / "out")
    assert about["steps"] == len(recipe.PHASES)
    assert checkpoint.read_extra(tmp_path / "out") == json.loads(json.dumps(about))
    assert checkpoint.load(tmp_path / "out").config.width == 16
