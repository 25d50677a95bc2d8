"""Laws of longer texts: the recall task holds its answers, stretching keeps short texts as they
were, and each RoPE scaling is what its paper (or Hugging Face) says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse.gpt import GPT, GPTConfig
from llmcourse.layers import rope_frequencies, rope_tables
from llmcourse.lengths import RecallBatches, answered, nats_at, stretch

SMALL = dict(vocab_size=RecallBatches.vocab_size, context=16, width=32, heads=2, layers=2)
KINDS = ("rope", "learned", "sinusoidal", "alibi", "none")


def small(kind: str, **fields) -> GPT:
    return GPT(GPTConfig(**SMALL, positions=kind, init_std=0.2, **fields), seed=1)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(0, 40), st.integers(0, 1000))
def test_the_answer_stands_where_it_is_said_to_stand(facts, filler, seed):
    length = 2 * facts + filler
    batches = RecallBatches(length=length, batch=3, seed=seed, facts=facts)
    (x, y), back = batches.sequences(0)
    assert x.shape == y.shape == (3, length) and back.shape == (3, facts)
    first = batches.FILLERS + batches.SUBJECTS + batches.OBJECTS
    for row, target, distances in zip(x.tolist(), y.tolist(), back.tolist(), strict=True):
        asked = [t for t, answer in enumerate(target) if answer != -100]
        assert asked == list(range(length - facts, length))
        assert sum(token >= first for token in row) == facts
        for t, distance in zip(asked, distances, strict=True):
            subject, object_ = divmod(row[t - distance] - first, batches.OBJECTS)
            assert row[t] == batches.FILLERS + subject
            assert target[t] == batches.FILLERS + batches.SUBJECTS + object_


def test_batches_are_a_function_of_seed_and_step():
    one, two = (RecallBatches(length=24, batch=4, seed=3) for _ in range(2))
    assert torch.equal(one(5)[0], two(5)[0])
    assert not torch.equal(one(5)[0], one(6)[0])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (dict(length=11, batch=1), "12"),
        (dict(length=40, batch=1, facts=9), "9"),
        (dict(length=40, batch=0), "0"),
    ],
)
def test_bad_tasks_say_the_rule_and_the_value(fields, said):
    with pytest.raises(ValueError, match=said):
        RecallBatches(**fields)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stretched_model_reads_short_texts_as_before(kind):
    model, ids = small(kind), torch.arange(16)[None]
    longer = stretch(model, 64)
    torch.testing.assert_close(longer(ids)[0], model(ids)[0], rtol=1e-4, atol=1e-5)
    assert longer(torch.zeros(1, 64, dtype=torch.long))[0].shape[1] == 64
    with pytest.raises(ValueError, match="16"):
        model(torch.zeros(1, 64, dtype=torch.long))


def test_stretching_copies():
    model = small("learned")
    longer = stretch(model, 32)
    with torch.no_grad():
        for p in longer.parameters():
            p.zero_()
    assert all(bool(p.any()) for p in model.parameters() if p.ndim == 2)


def test_nats_and_answers_are_the_models():
    model, batches = small("rope").eval(), RecallBatches(length=16, batch=4, seed=0)
    right, nats, back = answered(model, batches, steps=2)
    assert right.shape == nats.shape == back.shape == (8, 6)
    x, y = batches(0)
    torch.testing.assert_close(nats[:4].mean(), model(x, y)[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        nats_at(model, x, batch=3).mean(), model(x[:, :-1], x[:, 1:])[1], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["linear", "yarn"])
@pytest.mark.parametrize(("width", "trained"), [(64, 2048), (16, 64), (128, 4096)])
def test_scaled_frequencies_are_hugging_faces(kind, width, trained):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = LlamaConfig(
        hidden_size=2 * width, num_attention_heads=2, max_position_embeddings=8 * trained,
        rope_parameters=dict(
            rope_type=kind, factor=8.0, rope_theta=10_000.0,
            original_max_position_embeddings=trained,
        ),
    )  # fmt: skip
    theirs, temperature = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))
    ours = rope_frequencies(width, scale=8.0, scaling=kind, trained=trained)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    cos, _ = rope_tables(4, width, scale=8.0, scaling=kind, trained=trained)
    assert float(cos[0, 0]) == pytest.approx(temperature)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 64), st.floats(1.0, 32.0))
def test_ntk_slows_the_slowest_pair_by_the_scale_and_the_fastest_not_at_all(pairs, scale):
    plain = rope_frequencies(2 * pairs)
    ntk = rope_frequencies(2 * pairs, scale=scale, scaling="ntk")
    ratio = plain / ntk
    torch.testing.assert_close(ratio[-1], torch.tensor(scale), rtol=1e-3, atol=0)
    assert float(ratio[0]) == 1.0
    assert bool((ratio.diff() > -1e-4).all())


@pytest.mark.parametrize("kind", ["linear", "ntk", "yarn"])
def test_a_scale_of_one_changes_nothing(kind):
    ours = rope_frequencies(16, scaling=kind, trained=64)
    torch.testing.assert_close(ours, rope_frequencies(16), rtol=1e-6, atol=0)


def test_interpolation_is_positions_divided():
    cos, sin = rope_tables(33, 16, scale=4.0)
    plain_cos, plain_sin = rope_tables(9, 16)
    torch.testing.assert_close(cos[::4], plain_cos)
    torch.testing.assert_close(sin[::4], plain_sin)


def test_bad_scalings_say_the_rule_and_the_value():
    with pytest.raises(ValueError, match="cubic"):
        rope_frequencies(16, scaling="cubic")
    with pytest.raises(ValueError, match="trained"):
        rope_frequencies(16, scaling="yarn")
    with pytest.raises(ValueError, match="above 2"):
        rope_frequencies(2, scaling="ntk")
    with pytest.raises(ValueError, match="rope_scaling"):
        GPTConfig(**SMALL, rope_scaling="cubic")
    with pytest.raises(ValueError, match="rope_trained"):
        GPTConfig(**SMALL, rope_trained=0)
