"""Laws of rounding: error bounds, round trips, equality with torch and with the checkpoints'."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import checkpoint
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.quantize import (
    QuantizedLinear,
    Rounding,
    gptq,
    pack_int4,
    quantize,
    quantize_model,
    round_activations,
    smoothing,
    unpack_int4,
    weight_bytes,
)


def matrix(seed=0, rows=6, columns=32):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


roundings = st.builds(
    Rounding,
    bits=st.integers(2, 8),
    per=st.sampled_from(["tensor", "row", "group"]),
    group=st.sampled_from([4, 8, 16]),
    symmetric=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(roundings, st.integers(0, 10_000), st.floats(-3, 3))
def test_the_error_is_at_most_half_a_scale(rounding, seed, shift):
    w = matrix(seed) + shift
    kept = quantize(w, rounding)
    r, g = kept.scale.shape
    error = (kept.dequantize() - w).abs().reshape(r, g, -1)
    assert (error <= kept.scale[..., None] * 0.5001 + 1e-6).all()
    low, high = rounding.limits
    assert low <= int(kept.integers.min()) and int(kept.integers.max()) <= high


@settings(max_examples=20, deadline=None)
@given(roundings, st.integers(0, 1000))
def test_what_is_rounded_stays_when_rounded_again(rounding, seed):
    once = quantize(matrix(seed), rounding).dequantize()
    torch.testing.assert_close(quantize(once, rounding).dequantize(), once, atol=1e-5, rtol=1e-4)


def test_eight_bits_a_row_are_those_of_checkpoints():
    kept = quantize(matrix(), Rounding(bits=8))
    integers, scale = checkpoint.quantize_rows(matrix())
    assert torch.equal(kept.integers, integers)
    torch.testing.assert_close(kept.scale[:, 0], scale)


def test_equal_to_torch_per_tensor_and_per_channel():
    w, kept = matrix() + 0.3, quantize(matrix() + 0.3, Rounding(per="tensor", symmetric=False))
    scale, zero = float(kept.scale), int(kept.zero)
    theirs = torch.fake_quantize_per_tensor_affine(w, scale, zero, 0, 255)
    torch.testing.assert_close(kept.dequantize(), theirs)
    kept = quantize(w, Rounding(bits=4))
    theirs = torch.fake_quantize_per_channel_affine(
        w, kept.scale[:, 0], torch.zeros(len(w), dtype=torch.int32), 0, -7, 7
    )
    torch.testing.assert_close(kept.dequantize(), theirs)


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zero(symmetric):
    w = matrix()
    w[0], w[1, 3], w[2] = 0, 0, w[2].abs() + 1
    kept = quantize(w, Rounding(bits=4, symmetric=symmetric)).dequantize()
    assert (kept[0] == 0).all() and kept[1, 3] == 0


def test_finer_scales_and_more_bits_err_less():
    w = matrix(3, 16, 64)
    w[:, 5] *= 20

    def error(**how):
        return float((quantize(w, Rounding(**how)).dequantize() - w).square().mean())

    assert error(bits=4, per="group", group=16) < error(bits=4) < error(bits=4, per="tensor")
    errors = [error(bits=b) for b in range(2, 9)]
    assert errors == sorted(errors, reverse=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5), st.integers(0, 9))
def test_packing_is_undone(seed, rows, half):
    ints = torch.randint(0, 16, (rows, 2 * half), generator=torch.Generator().manual_seed(seed))
    packed = pack_int4(ints)
    assert packed.shape == (rows, half) and torch.equal(unpack_int4(packed).long(), ints)


def test_bad_input_is_named():
    for call, words in (
        (lambda: pack_int4(torch.zeros(1, 3, dtype=torch.long)), "even length"),
        (lambda: pack_int4(torch.tensor([[16, 0]])), "0..15"),
        (lambda: Rounding(bits=1), "2..8"),
        (lambda: Rounding(per="column"), "per must be"),
        (lambda: quantize(matrix(), Rounding(per="group", group=5)), "5 and 32"),
        (lambda: quantize(torch.full((1, 2), math.nan), Rounding()), "finite"),
        (lambda: smoothing(torch.ones(2), torch.ones(2), 2.0), "strength"),
        (lambda: quantize_model(torch.nn.ReLU(), Rounding()), "no linear layer"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_layer_multiplies_by_the_rounded_matrix(bits, symmetric):
    w, bias, x = matrix(), torch.randn(6), torch.randn(2, 5, 32)
    kept = quantize(w, Rounding(bits=bits, per="group", group=8, symmetric=symmetric))
    layer = QuantizedLinear(kept, bias)
    torch.testing.assert_close(layer(x), F.linear(x, kept.dequantize(), bias))
    assert layer.bytes() * 8 / w.numel() == pytest.approx(kept.bits_per_weight())
    assert layer.stored.numel() == w.numel() // (2 if bits <= 4 else 1)


def test_a_model_keeps_its_form_and_shrinks():
    form = dict(vocab_size=20, context=8, width=32, heads=4, layers=2, zero_outputs=False)
    model, ids = GPT(GPTConfig.modern(**form), seed=0).eval(), torch.tensor([[1, 2, 3]])
    before, size = model(ids)[0].detach(), weight_bytes(model)
    cached = model.cache()
    quantize_model(model, Rounding(bits=8))
    with torch.no_grad():
        after = model(ids)[0]
        torch.testing.assert_close(model(ids, cache=cached)[0], after)
    assert 0 < float((after - before).abs().max()) < 0.1
    assert weight_bytes(model) < 0.75 * size


def test_smoothing_changes_no_product_and_helps_rounding():
    x, w = torch.randn(64, 32, generator=torch.Generator().manual_seed(1)), matrix(2, 16, 32)
    x[:, 7] *= 50
    s = smoothing(x.abs().amax(0), w.abs().amax(0))
    torch.testing.assert_close((x / s) @ (w * s).T, x @ w.T, atol=1e-3, rtol=1e-4)

    def error(x_, w_):
        rounded = quantize(w_, Rounding()).dequantize()
        return float((round_activations(x_) @ rounded.T - x @ w.T).square().mean())

    assert error(x / s, w * s) < error(x, w) / 3


@pytest.mark.parametrize("per", ["tensor", "row", "group"])
def test_gptq_errs_less_in_the_product(per):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 8, generator=g) @ torch.randn(8, 32, generator=g)  # correlated
    x, rounding = x + 0.1 * torch.randn(200, 32, generator=g), Rounding(bits=4, per=per, group=8)
    w, plain = matrix(), quantize(matrix(), rounding).dequantize()
    ours = gptq(w, x, rounding)

    def error(other):
        return float(((w - other) @ x.T).square().mean())

    assert error(ours) < 0.6 * error(plain)
    again = quantize(plain, rounding).scale
    levels = (ours.reshape(*again.shape, -1) / quantize(w, rounding).scale[..., None]).double()
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
