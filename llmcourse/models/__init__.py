"""The small trained models that ship with the course; `README.md` here says how each was made."""

import json
from pathlib import Path

from torch import nn

from llmcourse import checkpoint, hf
from llmcourse.tokenizers import TalesTokenizer, Tokenizer

__all__ = ["about", "load", "names", "path"]

_HOME = Path(__file__).parent
_NAMES = (
    "tales", "tales-sft", "tales-chat", "tales-qa", "tales-retriever", "tales-summary", "student",
    "gpt2-mini", "tales-assistant",
)  # fmt: skip
_TRAINING = "training.json"  # beside a model in Hugging Face's files, which have no room for it


def names() -> tuple[str, ...]:
    """The models that are here."""
    return tuple(name for name in _NAMES if (_HOME / name / "model.safetensors").is_file())


def path(name: str = "tales") -> Path:
    """A model's folder. That of "gpt2-mini" is one that `transformers` opens.

    Raises:
        ValueError: no model of that name is shipped.
    """
    if name not in names():
        raise ValueError(f"the course ships the models {names()}, got {name!r}")
    return _HOME / name


def load(name: str = "tales") -> tuple[nn.Module, Tokenizer]:
    """A model in evaluation mode, and its tokenizer.

    Raises:
        ValueError: no model of that name is shipped.
    """
    folder = path(name)
    if name == "gpt2-mini":
        return hf.load(folder)
    return checkpoint.load(folder), TalesTokenizer()


def about(name: str = "tales") -> dict:
    """How a model was made, and what was measured on the very weights that ship."""
    folder = path(name)
    if (folder / _TRAINING).is_file():
        return json.loads((folder / _TRAINING).read_text(encoding="utf-8"))
    return checkpoint.read_extra(folder)
