"""Text to ids and back: bytes, characters, byte-pair encoding, and the words of the tales."""

import json
import os
from pathlib import Path

from llmcourse import data
from llmcourse.tokenizers.base import FORMAT, VERSION, StreamDecoder, Tokenizer
from llmcourse.tokenizers.bpe import BPE, GPT2_PATTERN
from llmcourse.tokenizers.simple import ByteTokenizer, CharTokenizer
from llmcourse.tokenizers.words import TalesTokenizer

__all__ = [
    "BPE",
    "GPT2_PATTERN",
    "ByteTokenizer",
    "CharTokenizer",
    "StreamDecoder",
    "TalesTokenizer",
    "Tokenizer",
    "find_gpt2",
    "load",
]

_KINDS: dict[str, type[Tokenizer]] = {
    c.kind: c for c in (BPE, ByteTokenizer, CharTokenizer, TalesTokenizer)
}


def load(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a tokenizer that `save` wrote.

    Raises:
        ValueError: the file is no tokenizer of this course, or of a kind or version unknown here.
        FileNotFoundError: there is no such file.
    """
    try:
        state = json.loads(Path(path).read_text(encoding="utf-8"))
        is_ours = state["format"] == FORMAT
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise ValueError(f"a tokenizer file is JSON with format {FORMAT!r}, got {path}")
    if state.get("version") != VERSION:
        raise ValueError(f"version must be {VERSION}, got {state.get('version')} in {path}")
    if state.get("kind") not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {state.get('kind')!r}")
    try:
        return _KINDS[state["kind"]]._from_state(state)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error


def find_gpt2() -> BPE | None:
    """GPT-2's own tokenizer, if its two files are on this machine; None if not. Asks no network.

    They are looked for as `gpt2_vocab.json` and `gpt2_merges.txt` in `LLMCOURSE_DATA` and in the
    course's cache, and in the cache that Hugging Face's libraries keep.
    """
    files = [data.local("gpt2_vocab.json"), data.local("gpt2_merges.txt")]
    if all(files):
        return BPE.from_gpt2(*files)
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    for name in ("models--openai-community--gpt2", "models--gpt2"):
        for vocab in sorted(hub.glob(f"{name}/snapshots/*/vocab.json")):
            if (merges := vocab.with_name("merges.txt")).is_file():
                return BPE.from_gpt2(vocab, merges)
    return None
