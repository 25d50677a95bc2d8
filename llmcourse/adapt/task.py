"""What is to be learned, and by whom: the file's records, their split and ids, the base model."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from llmcourse import chat, checkpoint, hf, models, records, tokenizers
from llmcourse.tokenizers import Tokenizer

__all__ = [
    "FEWEST",
    "MOST_BYTES",
    "Base",
    "Parts",
    "Record",
    "Template",
    "open_base",
    "read",
    "split",
]

FEWEST = 10  # different records; fewer leave nothing to score on
MOST_BYTES = 64 * 2**20  # of a file, which is held in memory several times over
SHARES = (0.7, 0.1, 0.2)  # train, dev, test


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of the file. A record of plain text has no prompt, and is its own answer."""

    prompt: str
    answer: str
    line: int

    @property
    def key(self) -> str:
        """What two records share that must not stand on both sides of a split."""
        return " ".join((self.prompt or self.answer).casefold().split())


def read(path: str | Path, fields: Sequence[str] = ()) -> list[Record]:
    """The records of a file: JSON objects, one a line, or paragraphs where it ends in `.txt`.

    Args:
        fields: the names of prompt and answer, or of a text alone. By default they follow from
            the first line: `prompt` and `answer`, else `text`.

    Raises:
        ValueError: the file is empty, too large, no regular file or not UTF-8; or a line is at
            fault, and is named with its field. Nothing is passed over.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ValueError(f"{path.name} is {what}; give a file of records, one JSON object a line")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(
            f"{path.name} has {size / 2**20:,.0f} MiB, and {MOST_BYTES // 2**20} are the limit; "
            "take a part of it"
        )
    if len(fields) > 2:
        raise ValueError(f"fields are a prompt and an answer, or one text; got {len(fields)} names")
    if path.suffix.lower() == ".txt" and not fields:
        return _paragraphs(path)
    fields = tuple(fields) or _fields_of(path)
    rows = records.read_jsonl(path, fields=fields)
    found = [
        Record(prompt=row[fields[0]] if len(fields) == 2 else "", answer=row[fields[-1]], line=i)
        for i, row in enumerate(rows, start=1)
    ]
    for record in found:
        for name, text in zip(fields, (record.prompt, record.answer)[-len(fields) :], strict=True):
            if re.search("[\ud800-\udfff]", text):
                raise ValueError(
                    f"{path.name}, line {record.line}: field {name!r} holds half a surrogate "
                    "pair, which is no character"
                )
    return found


def _fields_of(path: Path) -> tuple[str, ...]:
    first = records.read_jsonl(path, fields=(), most=1)[0]
    for fields in (("prompt", "answer"), ("text",)):
        if fields[0] in first:
            return fields
    have = ", ".join(map(repr, first)) or "none"
    raise ValueError(
        f"{path.name}, line 1: field 'prompt' is missing, and so is 'text'; it has {have}; "
        "name its fields"
    )


def _paragraphs(path: Path) -> list[Record]:
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path.name}, line {line}: not UTF-8: byte 0x{error.object[error.start]:02x}; find "
            "out its encoding, do not guess"
        ) from None
    found, line = [], 1
    for block in re.split(r"(\n[ \t\r]*\n\s*)", text):
        if block.strip():
            before = block[: len(block) - len(block.lstrip())]
            found.append(Record(prompt="", answer=block.strip(), line=line + before.count("\n")))
        line += block.count("\n")
    if not found:
        raise ValueError(f"{path.name} is empty: there is nothing to learn from")
    return found


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A file's records, split; no key occurs in two parts, nor twice in dev or test."""

    train: list[Record]
    dev: list[Record]
    test: list[Record]

    def __str__(self) -> str:
        train, dev, test = map(len, (self.train, self.dev, self.test))
        return f"{train} to learn from, {dev} to choose by, {test} held out"


def split(found: Sequence[Record], *, seed: int = 0, shares: Sequence[float] = SHARES) -> Parts:
    """Train, dev and test by record. Records with one prompt (case and spaces aside) stay together.

    A part that is scored keeps one record a key: copies are no further evidence.

    Raises:
        ValueError: fewer than `FEWEST` different records.
    """
    groups: dict[str, list[Record]] = {}
    for record in found:
        groups.setdefault(record.key, []).append(record)
    if len(groups) < FEWEST:
        what = "prompts" if any(r.prompt for r in found) else "texts"
        raise ValueError(
            f"the file has {len(groups)} different {what} in {len(found)} records; to learn from "
            f"some and be scored on others takes {FEWEST} at least"
        )
    keys = sorted(groups)
    order = np.random.default_rng(seed).permutation(len(keys))
    dev = max(2, round(shares[1] * len(keys)))
    test = max(2, round(shares[2] * len(keys)))
    scored, learned = order[: dev + test], order[dev + test :]
    first = [groups[keys[i]][0] for i in scored]
    return Parts(
        train=[r for i in learned for r in groups[keys[i]]], dev=first[:dev], test=first[dev:]
    )


@dataclass(frozen=True)
class Template:
    """How a record becomes ids: the prompt is read, the answer and its end are learned.

    A tokenizer with marks of speakers frames them as a talk (`llmcourse.chat`); with any other the
    prompt is a line of its own. The two are encoded apart: else a token could span their border.
    """

    tokenizer: Tokenizer

    @property
    def talks(self) -> bool:
        """Whether records are framed as talks."""
        return {"<|user|>", "<|assistant|>", chat.END} <= set(self.tokenizer.special_tokens)

    @property
    def stop(self) -> int:
        """The token that ends an answer.

        Raises:
            ValueError: the tokenizer has none.
        """
        known = self.tokenizer.special_tokens
        for name in (chat.END, hf.END, "</s>"):
            if name in known:
                return known[name]
        raise ValueError(
            f"the tokenizer must have a token that ends a text ({chat.END}, {hf.END} or </s>), it "
            f"has {', '.join(known) or 'no special tokens'}"
        )

    def prompt(self, text: str) -> list[int]:
        """What the model reads before it answers; of no prompt, the mark that begins a text."""
        if not text:
            return [self.tokenizer.special_tokens.get("<|en|>", self.stop)]
        if self.talks:
            return chat.prompt(self.tokenizer, [("user", text)])
        return [self.stop, *self.tokenizer.encode(text + "\n")]

    def row(self, record: Record) -> tuple[list[int], list[bool]]:
        """A record's ids, and for each whether it is learned."""
        prompt = self.prompt(record.prompt)
        answer = [*self.tokenizer.encode(record.answer), self.stop]
        return prompt + answer, [False] * len(prompt) + [True] * len(answer)

    def rows(self, found: Sequence[Record], *, context: int) -> list[tuple[list[int], list[bool]]]:
        """Each record's `row`.

        Raises:
            ValueError: a record is longer than the context; its line and both lengths are named.
        """
        rows = [self.row(r) for r in found]
        # The last token is a target only, so a row may have one more than the context.
        long = [i for i, (ids, _) in enumerate(rows) if len(ids) - 1 > context]
        if long:
            i = min(long, key=lambda i: found[i].line)
            raise ValueError(
                f"line {found[i].line}: the record has {len(rows[i][0])} tokens, the context is "
                f"{context} ({len(long)} of {len(rows)} records are too long); shorten them or "
                "leave them out"
            )
        return rows


@dataclass(frozen=True, kw_only=True)
class Base:
    """A model to start from, its tokenizer, its name, and the hash of its weights."""

    model: nn.Module
    tokenizer: Tokenizer
    name: str
    sha256: str

    @property
    def template(self) -> Template:
        return Template(self.tokenizer)


def open_base(name: str | Path) -> Base:
    """A model that ships with the course, or one in a folder: the course's, or Hugging Face's.

    Raises:
        FileNotFoundError: the folder, or a file in it, is not there.
        ValueError: the folder holds something else, or its tokenizer does not fit its model.
    """
    if str(name) in models.names():
        model, tokenizer = models.load(str(name))
    else:
        folder = Path(name)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder {str(name)!r}; the models that ship are "
                f"{', '.join(models.names())}"
            )
        name = folder.resolve()
        model, tokenizer = hf.load(folder) if _is_hf(folder) else _course(folder)
    return Base(model=model, tokenizer=tokenizer, name=str(name), sha256=_hash(model))


def _is_hf(folder: Path) -> bool:
    path = folder / "config.json"
    if checkpoint.latest(folder):
        return False
    if not path.is_file():
        raise FileNotFoundError(f"a model folder needs config.json; {folder} has none")
    try:
        return "model_type" in json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: it does not read as JSON ({error})") from None


def _course(folder: Path) -> tuple[nn.Module, Tokenizer]:
    model = checkpoint.load(folder)
    homes = [folder, folder.resolve().parent]
    home = next((h for h in homes if (h / "tokenizer.json").is_file()), None)
    if home is None:
        raise FileNotFoundError(f"a model folder needs tokenizer.json; {folder} has none")
    tokenizer = tokenizers.load(home / "tokenizer.json")
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"the tokenizer does not fit the model: it has {tokenizer.vocab_size} tokens, "
            f"the model {model.config.vocab_size}"
        )
    return model, tokenizer


def _hash(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
