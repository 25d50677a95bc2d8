"""To and from Hugging Face: the course's GPT as GPT-2 or as Llama, weights and tokenizer.

A Hugging Face model is a folder: `config.json`, `model.safetensors`, and the tokenizer's files.
Their layouts differ from ours in names, in Llama's three matrices for q, k and v where we keep one,
and in GPT-2's matrices, which are stored as (in, out). `save` and `load` need no `transformers`.

Example:
    >>> save(model, "my-model", tokenizer)              # doctest: +SKIP
    >>> AutoModelForCausalLM.from_pretrained("my-model")  # doctest: +SKIP
    >>> model, tokenizer = load("my-model")             # doctest: +SKIP
"""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from llmcourse import checkpoint
from llmcourse.gpt import GPT
from llmcourse.gptconfig import GPTConfig
from llmcourse.hf.layout import CONFIG, config_from_hf, config_to_hf, fill, form_of, state_to_hf
from llmcourse.tokenizers import BPE

__all__ = ["END", "config_from_hf", "config_to_hf", "form_of", "from_hf", "load", "save", "to_hf"]

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
END = "<|endoftext|>"


def to_hf(model: GPT) -> nn.Module:
    """The same model as a `transformers` one, in evaluation mode."""
    from transformers import AutoConfig, AutoModelForCausalLM

    values = config_to_hf(model.config)
    theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values))
    state = state_to_hf(model)
    if model.config.tied:
        embedding = "transformer.wte.weight" if form_of(model.config) == "gpt2" else None
        state["lm_head.weight"] = state[embedding or "model.embed_tokens.weight"]
    theirs.load_state_dict(state)
    return theirs.eval()


def from_hf(theirs: nn.Module) -> GPT:
    """The course's GPT with the weights of a `GPT2LMHeadModel` or a `LlamaForCausalLM`.

    Raises:
        ValueError: the model is of another type, or has a setting that our GPT has not.
    """
    config = config_from_hf(theirs.config.to_dict())
    return fill(GPT(config), theirs.state_dict(), type(theirs).__name__)


def _check_fit(config: GPTConfig, tokenizer: BPE) -> None:
    # A model may have rows to spare (GPT-2's 50,257 are often padded to 50,304), never too few.
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"the tokenizer does not fit the model: it has {tokenizer.vocab_size} tokens, "
            f"the model {config.vocab_size}"
        )


def save(
    model: GPT,
    folder: str | Path,
    tokenizer: BPE | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a folder that `AutoModelForCausalLM` and `AutoTokenizer` open; returns the folder.

    A token named `<|endoftext|>` becomes the end of a text there. `dtype` is of the file.

    Raises:
        ValueError: no layout fits the model, or the tokenizer has more tokens than the model.
        OSError: the disk is full; older files stay whole.
    """
    folder, values = Path(folder), config_to_hf(model.config)
    tensors = {name: t.to(dtype).cpu() for name, t in state_to_hf(model).items()}
    values["dtype"] = str(dtype).removeprefix("torch.")
    if tokenizer is not None:
        _check_fit(model.config, tokenizer)
        values["bos_token_id"] = values["eos_token_id"] = tokenizer.special_tokens.get(END)
    write = checkpoint.write_file
    write(folder / WEIGHTS, safetensors.torch.save(tensors, {"format": "pt"}))
    write(folder / CONFIG, json.dumps(values, indent=1).encode() + b"\n")
    if tokenizer is not None:
        tokenizer.to_hf(folder / "tokenizer.json")
        tokenizer.to_gpt2(folder / "vocab.json", folder / "merges.txt")
        about: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.config.context,
            "clean_up_tokenization_spaces": False,
        }
        if END in tokenizer.special_tokens:
            about |= {"bos_token": END, "eos_token": END}
        write(folder / "tokenizer_config.json", json.dumps(about, indent=1).encode() + b"\n")
    return folder


def load(name: str | Path) -> tuple[GPT, BPE]:
    """A model and its tokenizer from a folder, or by name from Hugging Face's hub or its cache.

    Raises:
        FileNotFoundError: the folder lacks a file, or the name is neither here nor reachable.
        ValueError: the model is of another form, or the tokenizer does not fit it.
    """
    folder = Path(name) if Path(name).is_dir() else _download(str(name))
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"a model folder needs {CONFIG}; {folder} has none")
    config = config_from_hf(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    tokenizer = _read_tokenizer(folder)
    _check_fit(config, tokenizer)
    return fill(GPT(config), _read_weights(folder), folder), tokenizer


def _read_weights(folder: Path) -> dict[str, Tensor]:
    files = [WEIGHTS]
    if (folder / INDEX).is_file():  # a large model lies in several files
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        files = sorted(set(index["weight_map"].values()))
    if missing := [f for f in files if not (folder / f).is_file()]:
        raise FileNotFoundError(f"a model folder needs {missing[0]}; {folder} has none")
    return {k: t for file in files for k, t in checkpoint.read(folder / file)[0].items()}


def _read_tokenizer(folder: Path) -> BPE:
    if (folder / "tokenizer.json").is_file():
        return BPE.from_hf(folder / "tokenizer.json")
    pair = (folder / "vocab.json", folder / "merges.txt")
    if missing := [file.name for file in pair if not file.is_file()]:
        raise FileNotFoundError(
            f"a model folder needs tokenizer.json, or vocab.json with merges.txt; {folder} has "
            f"no {missing[0]}"
        )
    return BPE.from_gpt2(*pair)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "*.safetensors", INDEX, "tokenizer.json", "vocab.json", "merges.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # offline, no such name, not permitted: the remedy is one
        raise FileNotFoundError(
            f"{name!r} is no folder here, and the hub did not give it "
            f"({type(error).__name__}). Without a network, `models.load('gpt2-mini')` is "
            "GPT-2's architecture, trained by this course"
        ) from error
