"""Laws of attention: the definition, the online form and torch's kernel are one function."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import layers
from llmcourse.attention import (
    attend,
    attention_weights,
    causal_mask,
    fused_attend,
    merge_heads,
    multi_head,
    online_attend,
    repeat_heads,
    split_heads,
)


def tensors(*shapes, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=g, dtype=dtype) for shape in shapes]


def qkv(B=2, H=4, G=4, T=7, S=7, K=8, seed=0, dtype=torch.float32):
    return tensors((B, H, T, K), (B, G, S, K), (B, G, S, K), seed=seed, dtype=dtype)


sizes = st.integers(1, 9)


@settings(max_examples=25, deadline=None)
@given(B=st.integers(1, 3), H=st.sampled_from([1, 2, 4]), T=sizes, K=sizes, causal=st.booleans())
def test_attend_equals_torch(B, H, T, K, causal):
    q, k, v = qkv(B, H, H, T, T, K)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(attend(q, k, v, causal), expected)


@settings(max_examples=25, deadline=None)
@given(T=sizes, more=sizes, block=st.integers(1, 20), causal=st.booleans())
def test_online_and_fused_equal_attend(T, more, block, causal):
    q, k, v = qkv(T=T, S=T + more - 1, dtype=torch.float64)
    expected = attend(q, k, v, causal)
    torch.testing.assert_close(online_attend(q, k, v, causal, block), expected)
    torch.testing.assert_close(fused_attend(q, k, v, causal), expected)


def test_online_attend_survives_huge_scores():
    q, k, v = qkv()
    expected = attend(q * 1e3, k * 1e3, v)
    assert torch.isfinite(expected).all()
    torch.testing.assert_close(online_attend(q * 1e3, k * 1e3, v, block=2), expected)


@pytest.mark.parametrize("T", [1, 7])
def test_grouped_heads_equal_repeated_heads(T):
    q, k, v = qkv(H=6, G=2, T=T, S=7)
    expected = attend(q, repeat_heads(k, 6), repeat_heads(v, 6))
    torch.testing.assert_close(attend(q, k, v), expected)
    torch.testing.assert_close(fused_attend(q, k, v), expected)
    # Heads 0..2 share key head 0: order matters, not only the set.
    assert (repeat_heads(k, 6)[:, 2] == k[:, 0]).all() and (
        repeat_heads(k, 6)[:, 3] == k[:, 1]
    ).all()


@pytest.mark.parametrize("function", [attend, fused_attend])
def test_mask_and_bias_equal_torch(function):
    q, k, v = qkv(B=1)
    bias = torch.linspace(-1, 1, 4)[:, None, None] * torch.arange(7.0)
    mask = torch.rand(7, 7, generator=torch.Generator().manual_seed(3)) < 0.7
    mask |= torch.eye(7, dtype=torch.bool)
    both = (bias + torch.zeros(4, 7, 7)).masked_fill(~(mask & causal_mask(7)), -torch.inf)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=both)
    torch.testing.assert_close(function(q, k, v, True, mask, bias), expected)


@pytest.mark.parametrize("function", [attend, fused_attend])
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_fully_masked_row_is_zero_and_so_is_its_gradient(function, with_bias):
    q, k, v = (x.requires_grad_() for x in qkv())
    mask = torch.ones(7, 7, dtype=torch.bool)
    mask[3] = False
    bias = torch.zeros(7, 7) if with_bias else None
    out = function(q, k, v, True, mask, bias)
    assert (out[:, :, 3] == 0).all()
    out.sum().backward()
    for x in (q, k, v):
        assert torch.isfinite(x.grad).all()
    assert (q.grad[:, :, 3] == 0).all()


def test_weights_are_distributions_over_the_past():
    q, k, _ = qkv()
    w = attention_weights(q, k)
    torch.testing.assert_close(w.sum(-1), torch.ones(2, 4, 7))
    assert (w.triu(1) == 0).all() and (w >= 0).all()


def test_scores_are_divided_by_root_k():
    q = torch.zeros(1, 1, 1, 16)
    q[..., 0] = 4.0
    k = torch.zeros(1, 1, 2, 16)
    k[0, 0, 1, 0] = math.log(3)
    torch.testing.assert_close(
        attention_weights(q, k, causal=False).flatten(), torch.tensor([0.25, 0.75])
    )


def test_permuting_keys_and_values_together_changes_nothing():
    q, k, v = qkv()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        attend(q, k[:, :, order], v[:, :, order], causal=False), attend(q, k, v, causal=False)
    )


@settings(max_examples=30, deadline=None)
@given(T=sizes, more=st.integers(0, 5), window=st.integers(1, 12))
def test_causal_mask_by_brute_force(T, more, window):
    S = T + more
    mask = causal_mask(T, S, window=window)
    for t in range(T):
        position = t + more
        assert mask[t].tolist() == [s <= position and position - s < window for s in range(S)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: causal_mask(3, 2), ["T=3", "S=2"]),
        (lambda: causal_mask(3, window=0), ["window", "0"]),
        (lambda: split_heads(torch.zeros(1, 1, 7), 2), ["7", "2"]),
        (lambda: repeat_heads(torch.zeros(1, 3, 1, 2), 4), ["4", "3"]),
        (lambda: online_attend(*qkv(), block=0), ["block", "0"]),
    ],
)
def test_errors_give_rule_and_value(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words)


def test_split_and_merge_are_inverse():
    (x,) = tensors((2, 5, 12))
    assert (merge_heads(split_heads(x, 3)) == x).all()
    assert (split_heads(x, 3)[:, 1] == x[..., 4:8]).all()


def test_multi_head_equals_torchs_module():
    x, w_in, w_out = tensors((2, 5, 12), (36, 12), (12, 12))
    theirs = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(w_in)
        theirs.out_proj.weight.copy_(w_out)
    expected, _ = theirs(x, x, x, attn_mask=~causal_mask(5), need_weights=False)
    q, k, v = w_in.chunk(3)
    torch.testing.assert_close(multi_head(x, q, k, v, w_out, heads=3), expected)


@pytest.mark.parametrize("layout", layers.LAYOUTS)
def test_rope_scores_depend_on_distance_alone(layout):
    cos, sin = layers.rope_tables(40, 8, layout=layout)
    q, k = tensors((8,), (8,), seed=1)
    rotated_q = layers.rope(q.expand(40, 8), cos, sin, layout)
    rotated_k = layers.rope(k.expand(40, 8), cos, sin, layout)
    scores = rotated_q @ rotated_k.mT
    for distance in (-7, 0, 13):
        line = scores.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), atol=1e-5, rtol=1e-5)
    assert scores.diagonal(3)[0] != pytest.approx(float(scores.diagonal(4)[0]))


@pytest.mark.parametrize("layout", layers.LAYOUTS)
def test_rope_equals_complex_multiplication(layout):
    (x,) = tensors((3, 6, 10))
    cos, sin = layers.rope_tables(6, 10, theta=100.0, scale=2.0, layout=layout)
    pairs = x.unflatten(-1, (2, 5)).mT if layout == "half" else x.unflatten(-1, (5, 2))
    angle = torch.outer(torch.arange(6.0) / 2, 100.0 ** (-2 * torch.arange(5.0) / 10))
    turned = torch.view_as_real(
        torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(angle), angle)
    )
    expected = (turned.mT if layout == "half" else turned).flatten(-2)
    torch.testing.assert_close(layers.rope(x, cos, sin, layout), expected)


def test_rope_tables_made_in_inference_mode_serve_training():
    layers.rope_tables.cache_clear()
    with torch.inference_mode():
        layers.rope_tables(5, 4)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    layers.rope(x, *layers.rope_tables(5, 4)).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_norms_and_mlps_equal_torch():
    x, w, b, up, down, gate = tensors((2, 3, 8), (8,), (8,), (16, 8), (8, 16), (16, 8))
    torch.testing.assert_close(layers.layer_norm(x, w, b), F.layer_norm(x, (8,), w, b))
    torch.testing.assert_close(layers.rms_norm(x, w, 1e-5), F.rms_norm(x, (8,), w, 1e-5))
    torch.testing.assert_close(
        layers.swiglu(x, gate, up, down), (F.silu(x @ gate.T) * (x @ up.T)) @ down.T
    )
    torch.testing.assert_close(
        layers.gelu_mlp(x, up, down), F.gelu(x @ up.T, approximate="tanh") @ down.T
    )
    torch.testing.assert_close(layers.relu2_mlp(x, up, down), F.relu(x @ up.T) ** 2 @ down.T)
    ids = torch.tensor([[1, 0], [1, 1]])
    assert (layers.embedding(ids, up) == F.embedding(ids, up)).all()
    with pytest.raises(ValueError, match="16"):
        layers.embedding(torch.tensor([16]), up)


def test_norm_statistics_are_float32():
    # In float16 the sum of squares of 300 overflows at 65,504.
    x = torch.full((4, 8), 300.0, dtype=torch.float16)
    ones = torch.ones(8, dtype=torch.float16)
    assert torch.isfinite(layers.rms_norm(x, ones)).all()
    torch.testing.assert_close(layers.rms_norm(x, ones), torch.ones_like(x))
    assert layers.rms_norm(x, ones).dtype == torch.float16


def test_alibi_slopes_are_those_of_the_paper():
    torch.testing.assert_close(layers.alibi_slopes(8), 2.0 ** -torch.arange(1.0, 9.0))


def test_sinusoids_give_a_shift_as_a_rotation():
    table = layers.sinusoids(30, 8).double().unflatten(-1, (4, 2))
    dots = torch.einsum("tpi,spi->ts", table, table)
    line = dots.diagonal(5)
    torch.testing.assert_close(line, line[:1].expand_as(line), atol=1e-5, rtol=1e-5)
