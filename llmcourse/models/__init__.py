"""The small trained models that ship with the course; `README.md` here says how each was made."""

from pathlib import Path

from torch import nn

from llmcourse import checkpoint
from llmcourse.tokenizers import TalesTokenizer, Tokenizer

__all__ = ["about", "load", "names"]

_HOME = Path(__file__).parent
_TOKENIZERS = {"tales": TalesTokenizer}


def names() -> tuple[str, ...]:
    """The models that are here."""
    return tuple(name for name in _TOKENIZERS if (_HOME / name / "model.safetensors").is_file())


def _folder(name: str) -> Path:
    if name not in names():
        raise ValueError(f"the course ships the models {names()}, got {name!r}")
    return _HOME / name


def load(name: str = "tales") -> tuple[nn.Module, Tokenizer]:
    """A model in evaluation mode, and its tokenizer.

    Raises:
        ValueError: no model of that name is shipped.
    """
    return checkpoint.load(_folder(name)), _TOKENIZERS[name]()


def about(name: str = "tales") -> dict:
    """How a model was made, and what was measured on the very weights that ship."""
    return checkpoint.read_extra(_folder(name))
