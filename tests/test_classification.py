"""Laws of `llmcourse.classification`."""

import numpy as np
import pytest
import torch

from llmcourse import evaluate, models, tales
from llmcourse.classification import (
    LabelBatches,
    Pooled,
    expected_right,
    features,
    label_nats,
    passages,
)
from llmcourse.gpt import GPT, GPTConfig


@pytest.fixture(scope="module")
def small():
    return GPT(GPTConfig.modern(vocab_size=40, context=24, width=16, layers=2, heads=2), seed=0)


ROWS = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13]]


def test_expected_accuracy_is_the_mean_over_drawn_labels():
    rng = np.random.default_rng(0)
    p, chosen = rng.random(50), rng.random(50) < 0.5
    drawn = rng.random((40_000, 50)) < p
    assert abs((drawn == chosen).mean() - expected_right(chosen, p).mean()) < 2e-3


def test_the_best_rule_has_the_known_rate():
    stories = tales.generate(seed=3, n=200)
    p = np.array([tales.sentiment_probability(s) for s in stories])
    hero = np.array([s.facts["final"] == "joy" for s in stories])
    np.testing.assert_allclose(expected_right(hero, p), np.maximum(p, 1 - p))


@pytest.mark.parametrize("bad", [([True], [1.2]), ([True], [-0.1]), ([True], [np.nan])])
def test_probabilities_that_are_none_are_refused(bad):
    with pytest.raises(ValueError):
        expected_right(np.array(bad[0]), np.array(bad[1]))


def test_label_nats_are_those_of_the_whole_row(small):
    labels = [[1], [2, 3], [4, 5, 6]]
    found = label_nats(small, ROWS, labels)
    for i, row in enumerate(ROWS):
        for k, label in enumerate(labels):
            whole = evaluate.token_nats(small, [row + label])[0][len(row) - 1 :].sum()
            assert abs(found[i, k] - whole) < 1e-4


def test_label_nats_of_all_one_token_labels_sum_to_one(small):
    found = label_nats(small, ROWS, [[k] for k in range(40)])
    np.testing.assert_allclose(np.exp(-found).sum(1), 1, atol=1e-5)


def test_label_nats_refuses_what_does_not_fit(small):
    with pytest.raises(ValueError, match="context is 24"):
        label_nats(small, [list(range(23))], [[1, 2]])
    for prompts, labels in (([[]], [[1]]), ([[1]], [[]]), ([[1]], [])):
        with pytest.raises(ValueError, match="at least one id"):
            label_nats(small, prompts, labels)


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_features_do_not_depend_on_company(small, pool):
    together = features(small, ROWS, pool=pool)
    assert together.shape == (2, 3, 16)
    for i, row in enumerate(ROWS):
        np.testing.assert_allclose(
            features(small, [row], pool=pool)[:, 0], together[:, i], atol=1e-5
        )
    residual = small.trace(torch.tensor([ROWS[1]])).residual[1:, 0]  # (L, T, D)
    want = residual.mean(1) if pool == "mean" else residual[:, -1]
    np.testing.assert_allclose(together[:, 1], want.numpy(), atol=1e-5)


def test_a_head_reads_what_the_features_hold(small):
    for pool in ("mean", "last"):
        reader = Pooled(small, 3, pool=pool)
        torch.nn.init.normal_(reader.head.weight)
        logits = reader.predict(ROWS)
        assert logits.shape == (3, 3)
        torch.testing.assert_close(logits.exp().sum(1), torch.ones(3))
        one = torch.cat([reader.predict([row]) for row in ROWS])
        torch.testing.assert_close(one, logits, atol=1e-4, rtol=1e-4)


def test_a_new_head_is_indifferent(small):
    torch.testing.assert_close(Pooled(small, 4).predict(ROWS).exp(), torch.full((3, 4), 0.25))


def test_bad_heads_are_refused(small):
    with pytest.raises(ValueError, match="'mean' or 'last'"):
        Pooled(small, 2, pool="first")
    with pytest.raises(ValueError, match="at least 2"):
        Pooled(small, 1)
    with pytest.raises(ValueError, match="'mean' or 'last'"):
        features(small, ROWS, pool="max")


def test_an_epoch_of_labels_visits_every_text_once():
    batches = LabelBatches([[i + 1] for i in range(12)], list(range(12)), batch=4, seed=1)
    seen = [(int(a), int(b)) for k in range(3) for a, b in zip(*batches(k), strict=True)]
    assert sorted(seen) == [(i + 1, i) for i in range(12)]
    assert batches(5)[0].tolist() == batches(5)[0].tolist()
    for bad in (dict(classes=[1]), dict(batch=13), dict(batch=0)):
        with pytest.raises(ValueError):
            LabelBatches(**{"rows": [[1], [2]], "classes": [0, 1], "batch": 1} | bad)


def test_passages_of_the_manual_are_split():
    learned, asked = passages(topics=8, test=30)
    assert len(asked) == 240 and len({p.topic for p in asked}) == 8
    assert not {p.text for p in learned} & {p.text for p in asked}
    assert {p.topic for p in learned} == {p.topic for p in asked}
    assert passages(topics=8, test=30) == (learned, asked)
    with pytest.raises(ValueError, match="test must be below"):
        passages(topics=8, test=10_000)


def test_training_a_head_on_the_shipped_model_lowers_the_loss():
    from llmcourse.train import TrainConfig, train

    model, tokenizer = models.load("tales")
    stories = tales.generate(seed=1, n=16)
    rows = [tokenizer.encode_story(s) for s in stories]
    reader = Pooled(model, 2)
    batches = LabelBatches(rows, [s.facts["final"] == "joy" for s in stories], batch=8)
    history = train(reader, batches, TrainConfig(steps=6, lr=1e-3, precision="fp32"))
    assert history.records[-1]["loss"] < 0.69
