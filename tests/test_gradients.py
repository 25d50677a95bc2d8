"""Gradients by hand equal autograd's in double precision, layer by layer and for whole models."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import gradients, layers, models, tales
from llmcourse.attention import attend
from llmcourse.gpt import GPT
from llmcourse.gptconfig import GPTConfig

ATOL = 1e-10


def draw(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes]


def agree(forward, backward, *inputs, seed=9):
    """Autograd's gradients of a random projection of the output, and the hand's."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = forward(*leaves)
    (grad,) = draw(tuple(out.shape), seed=seed)
    want = torch.autograd.grad(out, leaves, grad)
    got = backward(grad, *inputs)
    got = got if isinstance(got, tuple) else (got,)
    for a, b in zip(got, want, strict=False):
        torch.testing.assert_close(a, b, atol=ATOL, rtol=0)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_linear(batch):
    x, w, b = draw((*batch, 4), (5, 4), (5,))
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    out = F.linear(*leaves)
    (grad,) = draw(tuple(out.shape), seed=1)
    want = torch.autograd.grad(out, leaves, grad)
    for a, b in zip(gradients.linear_backward(grad, x, w), want, strict=True):
        torch.testing.assert_close(a, b, atol=ATOL, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.floats(0.1, 20))
def test_softmax(seed, width, scale):
    (s,) = draw((3, width), seed=seed)
    agree(
        lambda s: s.softmax(-1),
        lambda g, s: gradients.softmax_backward(g, s.softmax(-1)),
        scale * s,
    )


def test_cross_entropy_and_targets_that_do_not_count():
    (logits,) = draw((2, 3, 7))
    targets = torch.tensor([[1, -100, 6], [0, 2, -100]])
    leaf = logits.clone().requires_grad_()
    F.cross_entropy(leaf.flatten(0, 1), targets.flatten()).backward()
    got = gradients.cross_entropy_backward(logits, targets)
    torch.testing.assert_close(got, leaf.grad, atol=ATOL, rtol=0)
    with pytest.raises(ValueError, match="no target counts"):
        gradients.cross_entropy_backward(logits, torch.full((2, 3), -100))


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_norms(eps):
    x, w, b = draw((2, 3, 8), (8,), (8,))
    agree(
        lambda x, w: layers.rms_norm(x, w, eps),
        lambda g, x, w: gradients.rms_norm_backward(g, x, w, eps),
        x,
        w,
    )
    agree(
        lambda x, w, b: layers.layer_norm(x, w, b, eps),
        lambda g, x, w, b: gradients.layer_norm_backward(g, x, w, eps),
        x,
        w,
        b,
    )


def test_a_norm_takes_out_the_directions_it_forgets():
    x, w, grad = draw((4, 8), (8,), (4, 8))
    rms, _ = gradients.rms_norm_backward(grad, x, w, eps=0.0)
    layer, _, _ = gradients.layer_norm_backward(grad, x, w, eps=0.0)
    assert (rms * x).sum(-1).abs().max() < 1e-12
    assert (layer * x).sum(-1).abs().max() < 1e-12
    assert layer.sum(-1).abs().max() < 1e-12


def test_swiglu():
    agree(layers.swiglu, gradients.swiglu_backward, *draw((2, 3, 4), (6, 4), (6, 4), (4, 6)))


@pytest.mark.parametrize("layout", layers.LAYOUTS)
def test_rope(layout):
    cos, sin = layers.rope_tables(5, 8, layout=layout)
    agree(
        lambda x: layers.rope(x, cos, sin, layout),
        lambda g, x: gradients.rope_backward(g, cos, sin, layout),
        *draw((2, 3, 5, 8)),
    )


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("H", "G", "T", "S"), [(2, 2, 5, 5), (4, 2, 5, 5), (6, 1, 3, 5)])
def test_attention(causal, H, G, T, S):
    agree(
        lambda q, k, v: attend(q, k, v, causal),
        lambda g, q, k, v: gradients.attention_backward(g, q, k, v, causal),
        *draw((2, H, T, 4), (2, G, S, 4), (2, G, S, 3)),
    )


def test_embedding_adds_up_a_row_that_is_used_twice():
    ids = torch.tensor([[1, 4, 1], [0, 1, 3]])
    agree(
        lambda table: layers.embedding(ids, table),
        lambda g, table: gradients.embedding_backward(g, ids, len(table)),
        *draw((5, 3)),
    )


SMALL = {"vocab_size": 20, "context": 16, "width": 16, "heads": 4, "layers": 2}
FORMS = {
    "modern": GPTConfig.modern(**SMALL),
    "grouped": GPTConfig.modern(kv_heads=2, rope_layout="interleaved", **SMALL),
    "plain": GPTConfig.modern(qk_norm=False, mlp="relu2", tied=False, **SMALL),
    "biases": GPTConfig.modern(bias=True, norm="layer", positions="none", **SMALL),
    "stretched": GPTConfig.modern(rope_scale=2.0, rope_scaling="yarn", **SMALL),
    "gpt2": GPTConfig.gpt2_form(**SMALL),
}


@pytest.mark.parametrize("form", FORMS)
def test_whole_models(form):
    config = FORMS[form]
    model = GPT(config, seed=1).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in model.parameters():  # no zeros, no ones: each term must matter
            p.add_(0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    ids = torch.randint(20, (2, 9), generator=generator)
    targets = ids.roll(-1, 1)
    targets[:, -1] = -100
    loss = model(ids, targets)[1]
    loss.backward()
    got_loss, got = gradients.model_backward(model, ids, targets)
    torch.testing.assert_close(got_loss, loss.detach(), atol=ATOL, rtol=0)
    want = dict(model.named_parameters())
    assert got.keys() == want.keys()
    for name, p in want.items():
        torch.testing.assert_close(got[name], p.grad, atol=ATOL, rtol=0, msg=name)


@pytest.mark.parametrize("change", [{"norm_place": "post"}, {"window": 4}, {"positions": "alibi"}])
def test_forms_that_are_not_written_say_so(change):
    model = GPT(GPTConfig.modern(**SMALL, **change))
    ids = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="written for pre-norm"):
        gradients.model_backward(model, ids, ids)


def test_the_shipped_model():
    model, tokenizer = models.load("tales")
    model = model.double()
    ids = torch.tensor([tokenizer.encode_story(tales.generate(seed=1, n=1)[0])])
    model(ids[:, :-1], ids[:, 1:])[1].backward()
    _, got = gradients.model_backward(model, ids[:, :-1], ids[:, 1:])
    for name, p in model.named_parameters():
        assert (got[name] - p.grad).abs().max() < ATOL, name
