"""How Hugging Face's GPT-2 and Llama lay out what our GPT holds: configuration and tensors."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from llmcourse.gpt import GPT
from llmcourse.gptconfig import GPTConfig

CONFIG = "config.json"
# What a form fixes. A field that is not named here is free.
_FORMS: dict[str, dict[str, Any]] = {
    "gpt2": dict(norm="layer", mlp="gelu", positions="learned", bias=True),
    "llama": dict(norm="rms", mlp="swiglu", positions="rope", bias=False),
}
_ALWAYS: dict[str, Any] = dict(norm_place="pre", qk_norm=False, window=None)
# What must hold in a foreign configuration for our GPT to compute the same. Absent is the default.
_NEEDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    "llama": {"hidden_act": ("silu",), "attention_bias": (False,), "mlp_bias": (False,)},
}


def form_of(config: GPTConfig) -> str:
    """Which of Hugging Face's models computes what this one does: "gpt2" or "llama".

    Raises:
        ValueError: neither does; the message names the fields that stand in the way.
    """
    differ = {}
    for form, fixed in _FORMS.items():
        wanted = fixed | _ALWAYS | ({"kv_heads": config.heads} if form == "gpt2" else {})
        got = {name: getattr(config, name) for name in wanted}
        differ[form] = [f"{n}={got[n]!r}, not {wanted[n]!r}" for n in wanted if got[n] != wanted[n]]
        if not differ[form]:
            return form
    reasons = "; ".join(f"{form} needs {', '.join(d)}" for form, d in differ.items())
    raise ValueError(f"no Hugging Face layout fits this model: {reasons}")


def config_to_hf(config: GPTConfig) -> dict[str, Any]:
    """The contents of `config.json`."""
    form = form_of(config)
    common = {
        "model_type": form,
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tied,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }
    if form == "gpt2":
        return common | {
            "architectures": ["GPT2LMHeadModel"],
            "n_positions": config.context,
            "n_embd": config.width,
            "n_layer": config.layers,
            "n_head": config.heads,
            "n_inner": config.hidden,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": config.eps,
        }
    return common | {
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "rms_norm_eps": config.eps,
        "rope_parameters": _rope_to_hf(config),
    }


def _rope_to_hf(config: GPTConfig) -> dict[str, Any]:
    settings = config.rope_settings()
    theta, scale, K = settings["theta"], settings["scale"], config.head_width
    if scale == 1:
        return {"rope_type": "default", "rope_theta": theta}
    if settings["scaling"] == "ntk":  # is no more than a larger theta
        return {"rope_type": "default", "rope_theta": theta * scale ** (K / (K - 2))}
    scaled = {"rope_type": settings["scaling"], "rope_theta": theta, "factor": scale}
    if settings["scaling"] == "yarn":
        scaled["original_max_position_embeddings"] = settings["trained"]
    return scaled


def config_from_hf(values: Mapping[str, Any]) -> GPTConfig:
    """Our configuration for the contents of a `config.json`.

    Raises:
        ValueError: the model is of another type, or has a setting that our GPT has not.
    """
    form = values.get("model_type")
    if form not in _FORMS:
        raise ValueError(f"model_type must be one of {tuple(_FORMS)}, got {form!r}")
    for name, allowed in _NEEDS[form].items():
        if values.get(name, allowed[0]) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {values[name]!r}")
    fixed = _FORMS[form] | {"tied": bool(values.get("tie_word_embeddings", form == "gpt2"))}
    try:
        if form == "gpt2":
            return GPTConfig(
                vocab_size=values["vocab_size"],
                context=values["n_positions"],
                width=values["n_embd"],
                layers=values["n_layer"],
                heads=values["n_head"],
                hidden=values.get("n_inner"),
                eps=values.get("layer_norm_epsilon", 1e-5),
                **fixed,
            )
        width, heads = values["hidden_size"], values["num_attention_heads"]
        if values.get("head_dim") not in (None, width // heads):
            raise ValueError(f"head_dim must be {width // heads}, got {values['head_dim']}")
        return GPTConfig(
            vocab_size=values["vocab_size"],
            context=values["max_position_embeddings"],
            width=width,
            layers=values["num_hidden_layers"],
            heads=heads,
            kv_heads=values.get("num_key_value_heads"),
            hidden=values["intermediate_size"],
            eps=values.get("rms_norm_eps", 1e-6),
            **fixed,
            **_rope_from_hf(values),
        )
    except KeyError as error:
        raise ValueError(f"{CONFIG} of a {form} lacks {error.args[0]!r}") from None


def _rope_from_hf(values: Mapping[str, Any]) -> dict[str, Any]:
    # `rope_parameters` since transformers 5; before, `rope_theta` beside `rope_scaling`.
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    theta = rope.get("rope_theta", values.get("rope_theta", 10_000.0))
    if kind == "default":
        return {"rope_theta": float(theta)}
    if kind not in ("linear", "yarn"):
        raise ValueError(f"rope_type must be 'default', 'linear' or 'yarn', got {kind!r}")
    return {
        "rope_theta": float(theta),
        "rope_scale": float(rope["factor"]),
        "rope_scaling": kind,
        "rope_trained": rope.get("original_max_position_embeddings"),
    }


def _names(config: GPTConfig, form: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Our name of each tensor, and theirs: three of them where q, k and v lie apart."""
    if form == "gpt2":
        layer, last = "transformer.h", "transformer.ln_f"
        yield "embed.weight", ("transformer.wte.weight",)
        yield "positions.weight", ("transformer.wpe.weight",)
        parts = {
            "norm1": ("ln_1",),
            "attention.qkv": ("attn.c_attn",),
            "attention.o": ("attn.c_proj",),
            "norm2": ("ln_2",),
            "mlp.up": ("mlp.c_fc",),
            "mlp.down": ("mlp.c_proj",),
        }
        kinds = ("weight", "bias")
    else:
        layer, last = "model.layers", "model.norm"
        yield "embed.weight", ("model.embed_tokens.weight",)
        parts = {
            "norm1": ("input_layernorm",),
            "attention.qkv": tuple(f"self_attn.{c}_proj" for c in "qkv"),
            "attention.o": ("self_attn.o_proj",),
            "norm2": ("post_attention_layernorm",),
            **{f"mlp.{part}": (f"mlp.{part}_proj",) for part in ("gate", "up", "down")},
        }
        kinds = ("weight",)
    for i in range(config.layers):
        for ours, theirs in parts.items():
            for kind in kinds:
                yield f"blocks.{i}.{ours}.{kind}", tuple(f"{layer}.{i}.{t}.{kind}" for t in theirs)
    for kind in kinds:
        yield f"norm.{kind}", (f"{last}.{kind}",)
    if not config.tied:
        yield "head.weight", ("lm_head.weight",)


def _is_matrix(name: str) -> bool:  # a matrix that GPT-2 keeps as (in, out)
    return name.startswith("blocks") and name.endswith("weight") and "norm" not in name


def state_to_hf(model: GPT) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`; a tied head is not among them."""
    config, form = model.config, form_of(model.config)
    own = dict(model.named_parameters())
    sizes = [config.head_width * n for n in (config.heads, config.kv_heads, config.kv_heads)]
    out = {}
    for ours, theirs in _names(config, form):
        tensor = own[ours].detach()
        if form == "gpt2" and _is_matrix(ours):
            tensor = tensor.T
        parts = list(tensor.split(sizes)) if len(theirs) == 3 else [tensor]
        if len(theirs) == 3 and config.rope_layout == "interleaved":
            # Their pairs are (i, i + K/2), ours (2i, 2i + 1): the rows of q and k change places.
            for j, heads in enumerate((config.heads, config.kv_heads)):
                rows = parts[j].unflatten(0, (heads, -1, 2)).transpose(1, 2)
                parts[j] = rows.flatten(0, 2)
        out |= {name: part.contiguous() for name, part in zip(theirs, parts, strict=True)}
    return out


@torch.no_grad()
def fill(model: GPT, tensors: Mapping[str, Tensor], source: object) -> GPT:
    """Copy their tensors into our model; `source` is what an error calls them.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    form = form_of(model.config)
    own = dict(model.named_parameters())
    prefix = "transformer." if form == "gpt2" else "model."
    # The hub's own `gpt2` leaves the prefix away.
    bare = not any(name.startswith(prefix) for name in tensors)
    for ours, theirs in _names(model.config, form):
        found = [name.removeprefix(prefix) if bare else name for name in theirs]
        if missing := [name for name in found if name not in tensors]:
            raise ValueError(f"{source} lacks the tensor {missing[0]!r}")
        tensor = torch.cat([tensors[name] for name in found])
        if form == "gpt2" and _is_matrix(ours):
            tensor = tensor.T
        if tensor.shape != own[ours].shape:
            want, got = tuple(own[ours].shape), tuple(tensor.shape)
            raise ValueError(f"{found[0]!r} of {source} must fill {ours} {want}, got {got}")
        own[ours].copy_(tensor)
    return model.eval()
