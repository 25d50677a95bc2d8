"""Laws of the GPT: equal to Hugging Face's, causal, the same with and without a cache."""

import math
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llmcourse.gpt import GPT, Attention, GPTConfig

SMALL = dict(vocab_size=61, context=24, width=32, heads=4, layers=2)
FORMS = {
    "gpt2": GPTConfig.gpt2_form(**SMALL),
    "modern": GPTConfig.modern(**SMALL, kv_heads=2, zero_outputs=False),
    "interleaved": GPTConfig.modern(**SMALL, rope_layout="interleaved", zero_outputs=False),
    "relu2": GPTConfig.modern(**SMALL, mlp="relu2", tied=False, zero_outputs=False),
    "alibi": GPTConfig(**SMALL, positions="alibi"),
    "sinusoidal": GPTConfig(**SMALL, positions="sinusoidal", norm_place="post", norm="layer"),
    "window": GPTConfig(**SMALL, window=5, kv_heads=1),
    "none": GPTConfig(**SMALL, positions="none", bias=True),
}
forms = pytest.mark.parametrize("config", FORMS.values(), ids=FORMS)


def ids_of(config, batch=2, length=None, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (batch, length or config.context), generator=g)


def shaken(config, seed=0, by=0.2):
    """A model whose every weight, gains and biases too, is off its start."""
    model = GPT(config, seed=seed)
    g = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(by * torch.randn(p.shape, generator=g))
    return model


def test_gpt2_form_equals_hugging_face():
    transformers = pytest.importorskip("transformers")
    config = FORMS["gpt2"]
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=61, n_positions=24, n_embd=32, n_head=4, n_layer=2, resid_pdrop=0,
            embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=0,
        )
    ).eval()  # fmt: skip
    ours = shaken(config)
    with torch.no_grad():
        hf = theirs.transformer
        hf.wte.weight.copy_(ours.embed.weight)
        hf.wpe.weight.copy_(ours.positions.weight)
        hf.ln_f.load_state_dict(ours.norm.state_dict())
        for a, b in zip(hf.h, ours.blocks, strict=True):
            a.ln_1.load_state_dict(b.norm1.state_dict())
            a.ln_2.load_state_dict(b.norm2.state_dict())
            pairs = [(a.attn.c_attn, b.attention.qkv), (a.attn.c_proj, b.attention.o)]
            pairs += [(a.mlp.c_fc, b.mlp.up), (a.mlp.c_proj, b.mlp.down)]
            for conv, linear in pairs:
                conv.weight.copy_(linear.weight.T)
                conv.bias.copy_(linear.bias)
    ids = ids_of(config)
    with torch.no_grad():
        expected = theirs(ids, labels=ids)
        logits, loss = ours(ids[:, :-1], ids[:, 1:])
    torch.testing.assert_close(logits, expected.logits[:, :-1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=1e-5)


def test_modern_form_equals_llama():
    transformers = pytest.importorskip("transformers")
    config = replace(FORMS["modern"], qk_norm=False, tied=False)
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=61, hidden_size=32, intermediate_size=config.hidden, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=24,
            rms_norm_eps=config.eps, tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    ours = shaken(config)
    with torch.no_grad():
        theirs.model.embed_tokens.weight.copy_(ours.embed.weight)
        theirs.lm_head.weight.copy_(ours.head.weight)
        theirs.model.norm.weight.copy_(ours.norm.weight)
        for a, b in zip(theirs.model.layers, ours.blocks, strict=True):
            a.input_layernorm.weight.copy_(b.norm1.weight)
            a.post_attention_layernorm.weight.copy_(b.norm2.weight)
            for name, weight in b.attention.parts().items():
                getattr(a.self_attn, f"{name}_proj").weight.copy_(weight)
            for name in ("gate", "up", "down"):
                getattr(a.mlp, f"{name}_proj").weight.copy_(getattr(b.mlp, name).weight)
    ids = ids_of(config)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids)[0], theirs(ids).logits, atol=1e-4, rtol=1e-4)


@forms
def test_no_logit_depends_on_a_later_token(config):
    model, ids = shaken(config), ids_of(config)
    changed = ids.clone()
    changed[:, 10] = (changed[:, 10] + 1) % config.vocab_size
    before, after = model(ids)[0], model(changed)[0]
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10], after[:, 10])


@forms
def test_cache_gives_the_same_logits(config):
    model, ids = shaken(config), ids_of(config)
    expected, cache, got = model(ids)[0], model.cache(2), []
    for a, b in ((0, 5), (5, 6), (6, 7), (7, 12), (12, 24)):
        got.append(model(ids[:, a:b], cache=cache)[0])
    torch.testing.assert_close(torch.cat(got, 1), expected, atol=2e-5, rtol=1e-4)
    assert cache.used == 24
    cache.truncate(9)
    again = model(ids[:, 9:12], cache=cache)[0]
    torch.testing.assert_close(again, expected[:, 9:12], atol=2e-5, rtol=1e-4)
    cache.reorder(torch.tensor([1, 1]))
    assert torch.equal(cache.keys[:, 0], cache.keys[:, 1])


@forms
def test_parameter_count_equals_formula(config):
    assert GPT(config).parameter_count() == config.parameter_count()


def test_the_smallest_gpt2_has_124_million():
    assert GPTConfig.gpt2_form().parameter_count() == 124_439_808


@forms
def test_flops_equal_those_torch_counts(config):
    model, ids = GPT(config), ids_of(config, batch=1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids)
        attention = 0
        # On a CPU the fused kernel may be one operation that the counter does not know.
        if "aten.bmm" not in str(counter.get_flop_counts()):
            attention = config.layers * 4 * config.context * config.width * config.context
    counted = counter.get_total_flops()
    formula = model.flops_per_token() * config.context
    assert formula in (counted, counted + attention)
    assert model.flops_per_token(1) < model.flops_per_token()


@forms
def test_gradient_reaches_every_weight(config):
    model, ids = shaken(config), ids_of(config)
    model(ids[:, :-1], ids[:, 1:])[1].backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert p.grad.abs().sum() > 0, name


@forms
def test_config_and_weights_make_a_round_trip(config):
    assert GPTConfig.from_dict(config.to_dict()) == config
    one, two = GPT(config, seed=3), GPT(config, seed=4)
    ids = ids_of(config)
    assert not torch.equal(one(ids)[0], two(ids)[0])
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(ids)[0], two(ids)[0])


def test_seed_alone_decides_the_weights():
    config = FORMS["modern"]
    state = torch.random.get_rng_state()
    one = GPT(config, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state), "global randomness was touched"
    torch.manual_seed(1)
    two = GPT(config, seed=3)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_initial_spread():
    config = GPTConfig.gpt2_form(vocab_size=500, context=64, width=128, heads=4, layers=8)
    model = GPT(config)
    block = model.blocks[3]
    assert float(model.embed.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert float(block.attention.qkv.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert float(block.mlp.down.weight.detach().std()) == pytest.approx(0.02 / 4, rel=0.03)
    assert (block.mlp.up.bias == 0).all() and (block.norm1.weight == 1).all()
    modern = GPT(GPTConfig.modern(vocab_size=500, context=64, width=128, heads=4, layers=2))
    assert float(modern.blocks[0].mlp.up.weight.detach().std()) == pytest.approx(
        128**-0.5, rel=0.03
    )
    assert (modern.blocks[0].mlp.down.weight == 0).all()
    ids = ids_of(modern.config)
    loss = modern(ids[:, :-1], ids[:, 1:])[1]
    assert loss.item() == pytest.approx(math.log(500), abs=0.1)


def test_loss_is_the_mean_over_targets_that_count():
    model = shaken(FORMS["modern"])
    ids, targets = ids_of(model.config), ids_of(model.config, seed=1)
    targets[0, 3:] = -100
    logits, loss = model(ids, targets)
    rows = logits.double().log_softmax(-1)
    picked = [rows[b, t, y] for b in range(2) for t, y in enumerate(targets[b].tolist()) if y >= 0]
    torch.testing.assert_close(loss.double(), -torch.stack(picked).mean(), atol=1e-5, rtol=1e-5)
    assert model(ids)[1] is None


def test_packed_documents_do_not_see_each_other():
    model = shaken(GPTConfig(**SMALL, positions="none"))
    ids = ids_of(model.config, batch=1, length=12)
    document = torch.arange(12) >= 5
    mask = document[:, None] == document
    got = model(ids, mask=mask)[0]
    torch.testing.assert_close(got[:, 5:], model(ids[:, 5:])[0], atol=2e-5, rtol=1e-4)


def test_a_fully_masked_row_leaves_finite_logits_and_gradients():
    model = shaken(FORMS["modern"])
    ids = ids_of(model.config)
    mask = torch.ones(24, 24, dtype=torch.bool)
    mask[4] = False
    logits, loss = model(ids, ids, mask=mask)
    loss.backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("form", ["gpt2", "modern", "alibi"])
def test_sixteen_bits(form):
    config = FORMS[form]
    model, ids = GPT(config), ids_of(config)
    expected = model(ids)[0]
    with torch.autocast("cpu", torch.bfloat16):
        logits, loss = model(ids, ids)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(logits.float(), expected, atol=0.1, rtol=0.1)
    half = GPT(config).to(torch.bfloat16)
    logits, _ = half(ids, cache=half.cache(2))
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), expected, atol=0.1, rtol=0.1)


def test_float64():
    model = GPT(FORMS["modern"]).double()
    assert model(ids_of(model.config))[0].dtype == torch.float64


def test_parts_are_views_of_the_fused_matrix():
    config = FORMS["modern"]
    one, two = GPT(config, seed=0).blocks[0].attention, Attention(config)
    two.load_parts(**one.parts())
    assert torch.equal(one.qkv.weight, two.qkv.weight)
    assert {n: tuple(w.shape) for n, w in two.parts().items()} == {
        "q": (32, 32), "k": (16, 32), "v": (16, 32), "o": (32, 32),
    }  # fmt: skip
    with pytest.raises(ValueError, match="k must be"):
        two.load_parts(**(one.parts() | {"k": torch.zeros(3, 3)}))


def test_attention_part_equals_the_hand_written_one():
    from llmcourse.attention import multi_head
    from llmcourse.layers import rope, rope_tables

    config = replace(FORMS["modern"], qk_norm=False)
    part = GPT(config).blocks[0].attention
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(0))
    tables = rope_tables(9, 8)
    expected = multi_head(x, **part.parts(), heads=4, kv_heads=2, rotate=lambda y: rope(y, *tables))
    torch.testing.assert_close(part(x), expected, atol=1e-5, rtol=1e-5)


@forms
def test_trace_agrees_with_forward(config):
    model, ids = shaken(config), ids_of(config)
    trace = model.trace(ids)
    torch.testing.assert_close(trace.logits, model(ids)[0])
    assert trace.residual.shape == (3, 2, 24, 32) and trace.attention.shape == (2, 2, 4, 24, 24)
    torch.testing.assert_close(trace.attention.sum(-1), torch.ones(2, 2, 4, 24))
    assert (trace.attention.triu(1) == 0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(width=30), ["width", "30", "4"]),
        (dict(kv_heads=3), ["kv_heads", "3", "4"]),
        (dict(layers=0), ["layers", "0"]),
        (dict(norm="batch"), ["norm", "rms", "batch"]),
        (dict(positions="absolute"), ["positions", "absolute"]),
        (dict(width=12, heads=4), ["rope", "even", "3"]),
        (dict(eps=0.0), ["eps", "0.0"]),
        (dict(rope_theta=-1.0), ["rope_theta", "-1"]),
        (dict(window=0), ["window", "0"]),
        (dict(init_std=-0.1), ["init_std", "-0.1"]),
    ],
)
def test_config_errors_give_rule_and_value(change, words):
    with pytest.raises(ValueError) as error:
        GPTConfig(**(SMALL | change))
    assert all(word in str(error.value) for word in words)


def test_config_rejects_the_unknown_and_the_unwhole():
    with pytest.raises(ValueError, match="depth"):
        GPTConfig.from_dict(SMALL | {"depth": 3})
    with pytest.raises(TypeError, match="layers"):
        GPTConfig(**(SMALL | {"layers": 2.0}))


def test_input_errors_give_both_numbers():
    model = GPT(FORMS["modern"])
    with pytest.raises(ValueError, match=r"25 tokens .* context of 24"):
        model(ids_of(model.config, length=25))
    with pytest.raises(ValueError, match=r"61.*got 99|got 99"):
        model(torch.tensor([[1, 99]]))
    with pytest.raises(ValueError, match="got -1"):
        model(torch.tensor([[1, -1]]))
    ids = ids_of(model.config)
    with pytest.raises(ValueError, match="-100"):
        model(ids, torch.full_like(ids, -100))
    cache = model.cache(2, length=10)
    model(ids[:, :8], cache=cache)
    with pytest.raises(ValueError, match=r"3 tokens after 8 cached .* 10"):
        model(ids[:, :3], cache=cache)
