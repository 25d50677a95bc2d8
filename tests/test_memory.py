"""Bytes kept for the backward pass and bytes alive are those that a count by hand gives."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from llmcourse import layers
from llmcourse.gpt import Block
from llmcourse.gptconfig import GPTConfig
from llmcourse.memory import LiveBytes, saved_bytes


def test_a_result_that_is_kept_once_counts_once():
    x = torch.ones(1000, requires_grad=True)
    assert saved_bytes(lambda: x.exp()) == 4000
    assert saved_bytes(lambda: (y := x.exp()) * y) == 4000
    assert saved_bytes(lambda: x * 2.0) == 0  # the factor is a constant
    w = torch.ones(1000, requires_grad=True)
    assert saved_bytes(lambda: x * w) == 8000
    assert saved_bytes(lambda: x * w, ignore=[w]) == 4000


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_a_block_keeps_what_its_formula_says(kv_heads, qk_norm):
    c = GPTConfig(
        vocab_size=9, context=16, width=32, heads=4, kv_heads=kv_heads, layers=1, qk_norm=qk_norm
    )
    block, (B, T) = Block(c), (3, 8)
    x = torch.randn(B, T, c.width, requires_grad=True)
    tables = layers.rope_tables(
        c.context, c.head_width, **block.attention.rope_settings, device=x.device
    )
    D, H, G, K, M = c.width, c.heads, kv_heads, c.head_width, c.hidden
    norms = 2 * (3 * D + 1)
    # The projection is kept for QK-norm, or for its values, which lie inside it.
    qkv = (H + 2 * G) * K if qk_norm or G == H else 0
    turned = (H + G) * K + qk_norm * (H + G) * (K + 1)
    copies = 0 if G == H else 2 * H * K
    # QK-norm leaves heads before time in memory, so merging the heads copies.
    attended = copies + (1 + qk_norm) * H * K + H
    want = norms + qkv + turned + attended + 4 * M
    got = saved_bytes(lambda: block(x), [*block.parameters(), *tables])
    assert got == 4 * B * T * want


def test_live_bytes_rise_and_fall():
    x = torch.ones(1000)
    with LiveBytes() as live:
        y = x + 1
        z = y + 1
        del y
        z = z + 1
    assert live.timeline == [4000, 8000, 8000]
    assert live.peak == 8000
    assert LiveBytes().peak == 0


def test_checkpointing_keeps_only_the_inputs_of_its_parts():
    w = torch.ones(1000, requires_grad=True)

    def part(y):
        for _ in range(10):
            y = (y * w).sin()
        return y

    def peak(run):
        with LiveBytes() as live:
            run(run(run(w))).sum().backward()
        w.grad = None
        return live.peak

    whole = peak(part)
    parts = peak(lambda y: checkpoint(part, y, use_reentrant=False))
    assert whole > 60 * 4000 > 40 * 4000 > parts
