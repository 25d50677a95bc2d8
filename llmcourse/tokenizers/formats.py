"""Files that byte-level BPE is kept in elsewhere: GPT-2's two, and Hugging Face's tokenizer.json.

Both write a token's bytes as printable characters. A tokenizer is here what `BPE` is made of: the
bytes of each token by id, the merges as pairs of ids, and the special tokens by name.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Parts = tuple[list[bytes], list[tuple[int, int]], dict[str, int]]


def _gpt2_characters() -> list[str]:
    """A printable character for each byte: itself where Latin-1 prints it, else from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters = [""] * 256
    unused = 0
    for byte in range(256):
        if byte in printable:
            characters[byte] = chr(byte)
        else:
            characters[byte] = chr(0x100 + unused)
            unused += 1
    return characters


BYTE_TO_CHARACTER = _gpt2_characters()
_CHARACTER_TO_BYTE = {c: b for b, c in enumerate(BYTE_TO_CHARACTER)}


def printable(token: bytes) -> str:
    """A token's bytes as GPT-2 writes them: "Ġ" for the space, and so on."""
    return "".join(BYTE_TO_CHARACTER[b] for b in token)


def from_printable(token: str) -> bytes:
    """The inverse of `printable`.

    Raises:
        ValueError: a character stands for no byte.
    """
    try:
        return bytes(_CHARACTER_TO_BYTE[c] for c in token)
    except KeyError as error:
        character = error.args[0]
        raise ValueError(f"token {token!r} holds {character!r}, which stands for no byte") from None


def _parts(
    vocab: Mapping[str, int],
    pairs: Iterable[tuple[str, str]],
    source: object,
    named: Iterable[str] = (),
) -> Parts:
    """Names of tokens to their bytes and pairs of names to pairs of ids; `named` are special."""
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError(f"ids must be 0 to {len(vocab) - 1}, each once, in {source}")
    merges, made = [], set(BYTE_TO_CHARACTER)
    for a, b in pairs:
        if a not in vocab or b not in vocab:
            raise ValueError(f"merge {a + ' ' + b!r} of {source} joins what is no token")
        merges.append((vocab[a], vocab[b]))
        made.add(a + b)
    named = set(named)
    special = {name: i for name, i in vocab.items() if name not in made or name in named}
    names = sorted(vocab, key=vocab.__getitem__)
    tokens = [n.encode() if n in special else from_printable(n) for n in names]
    return tokens, merges, special


def _names(tokens: Sequence[bytes], special: Mapping[str, int]) -> list[str]:
    ids = set(special.values())
    return [t.decode() if i in ids else printable(t) for i, t in enumerate(tokens)]


def read_gpt2(vocab_json: str | os.PathLike[str], merges_txt: str | os.PathLike[str]) -> Parts:
    """The two files of GPT-2; entries that no merge makes are special tokens."""
    vocab = json.loads(Path(vocab_json).read_text(encoding="utf-8"))
    lines = Path(merges_txt).read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line and not line.startswith("#version")]
    pairs = [(a, b) for a, _, b in (line.partition(" ") for line in lines)]
    return _parts(vocab, pairs, merges_txt)


def gpt2_files(
    tokens: Sequence[bytes], merges: Sequence[tuple[int, int]], special: Mapping[str, int]
) -> tuple[str, str]:
    """The texts of `vocab.json` and `merges.txt`."""
    names = _names(tokens, special)
    vocab = json.dumps({name: i for i, name in enumerate(names)}, ensure_ascii=False)
    return vocab, "\n".join(["#version: 0.2", *(f"{names[a]} {names[b]}" for a, b in merges), ""])


def read_tokenizer_json(path: str | os.PathLike[str]) -> Parts:
    """What `tokenizer_json` writes, or another file of the same kind.

    Raises:
        ValueError: a part of it does what this course's BPE does not; the message names it.
    """
    whole = json.loads(Path(path).read_text(encoding="utf-8"))
    model, before = whole.get("model") or {}, whole.get("pre_tokenizer") or {}
    rules: dict[str, tuple[Any, Any]] = {
        "model.type": (model.get("type"), "BPE"),
        "normalizer": (whole.get("normalizer"), None),
        "pre_tokenizer.type": (before.get("type"), "ByteLevel"),
        "pre_tokenizer.add_prefix_space": (before.get("add_prefix_space"), False),
        "pre_tokenizer.use_regex": (before.get("use_regex", True), True),
    }
    for name, (got, wanted) in rules.items():
        if got != wanted:
            raise ValueError(f"{name} must be {wanted!r} for byte-level BPE, got {got!r} in {path}")
    added = {item["content"]: item["id"] for item in whole.get("added_tokens", ())}
    split = (tuple(m.split(" ", 1)) if isinstance(m, str) else tuple(m) for m in model["merges"])
    return _parts(model["vocab"] | added, split, path, named=added)


def tokenizer_json(
    tokens: Sequence[bytes], merges: Sequence[tuple[int, int]], special: Mapping[str, int]
) -> str:
    """The text of a `tokenizer.json` that `tokenizers.Tokenizer.from_file` opens."""
    names = _names(tokens, special)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    added = [
        {"id": i, "content": content, "single_word": False, "lstrip": False}
        | {"rstrip": False, "normalized": False, "special": True}
        for content, i in sorted(special.items(), key=lambda item: item[1])
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {content: i for i, content in enumerate(names)},
        "merges": [[names[a], names[b]] for a, b in merges],
    }
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level | {"use_regex": True},
        "post_processor": None,
        "decoder": byte_level | {"use_regex": True},
        "model": model,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1)
