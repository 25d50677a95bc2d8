"""The grammar of tales as data: classes of words, and frames of sentences in two languages.

`lexicon.toml` and `grammar.toml` hold the language; this module reads them, checks what can be
checked without running the grammar, and gives them as plain tuples. The comments at the head of
`grammar.toml` are the reference for its notation.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "zh")
END = "<end>"  # what follows the last sentence of a story

PRONOUNS = {  # form: (English for f, English for m)
    "she": ("she", "he"),
    "her": ("her", "his"),
    "him": ("her", "him"),
}
PRONOUN_TAGS = {"she": "PRON", "her": "POSS", "him": "PRON", "ta": "PRON", "they": "PRON"}


@dataclass(frozen=True, kw_only=True)
class WordClass:
    """A weighted list of items; `field(i, "en")` is a tuple of tokens (which may hold slots)."""

    name: str
    kind: str
    tag: str
    weights: tuple[float, ...]
    rows: tuple[Mapping[str, str], ...]
    uniform: bool

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Element:
    """One piece of a template: a literal word, a draw, a recall, a pronoun, a measure word."""

    form: str  # "literal", "draw", "recall", or the pronoun or measure form
    word: str = ""  # of a literal
    tag: str = ""
    key: str = ""  # the slot of a draw: a variable, or a class with its number
    of: str = ""  # the class of a draw, perhaps with @variable; the variable of a recall
    field: str = ""  # the field of a recall ("" is the name itself)
    article: bool = False
    also: str = ""  # the second variable of "they"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One way to say one sentence, in both languages."""

    stage: str
    index: int
    weight: float
    factors: Mapping[str, Mapping[str, float]]
    when: Mapping[str, tuple[str, ...]]
    sets: Mapping[str, str]
    kind: str
    means: str
    next: str
    templates: Mapping[str, tuple[Element, ...]]
    draws: tuple[tuple[str, str], ...]  # (slot, class), each spoken once in either language


@dataclass(frozen=True, kw_only=True)
class Grammar:
    start: str
    stages: Mapping[str, tuple[Frame, ...]]
    classes: Mapping[str, WordClass]
    holdout: tuple[tuple[str, str], ...]
    values: Mapping[str, tuple[str, ...]]  # what each state variable may be, in order of mention
    vowels: frozenset[str]  # words that take "an" though they start with a consonant
    tags: Mapping[str, str]

    def article(self, word: str) -> str:
        return "an" if word[0] in "aeiou" or word in self.vowels else "a"


def _read(name: str) -> dict:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _word_class(name: str, spec: dict) -> WordClass:
    fields = spec.get("fields", list(LANGUAGES))
    rows = []
    for line in spec["items"].strip().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != len(fields):
            raise ValueError(f"class {name}: {fields} fields wanted, got {line!r}")
        rows.append(dict(zip(fields, cells, strict=True)))
    zipf = spec.get("zipf", False)
    raw = [1 / (rank + 1) if zipf else 1.0 for rank in range(len(rows))]
    for language in LANGUAGES:
        surfaces = [row[language] for row in rows]
        if len(set(surfaces)) < len(surfaces):
            raise ValueError(f"class {name}: every item needs its own surface in {language}")
    return WordClass(
        name=name,
        kind=spec["kind"],
        tag=spec["tag"],
        weights=tuple(w / sum(raw) for w in raw),
        rows=tuple(rows),
        uniform=not zipf,
    )


_PIECE = re.compile(r"\{[^}]*\}|\S+")


def parse_template(text: str, tags: Mapping[str, str]) -> tuple[Element, ...]:
    """The elements of a template such as `"{she A} kept {a color} {O=object} {K=spot} ."`."""
    return tuple(_element(piece, tags) for piece in _PIECE.findall(text))


def _element(piece: str, tags: Mapping[str, str]) -> Element:
    if not piece.startswith("{"):
        word, _, tag = piece.partition("/")
        return Element(form="literal", word=word, tag=tag or tags.get(word, ""))
    body = piece[1:-1].split()
    article = body[0] == "a"
    if article:
        body = body[1:]
    if len(body) > 1:  # a pronoun or a measure word
        form, of, *rest = body
        return Element(
            form=form, of=of, also=rest[0] if rest else "", tag=PRONOUN_TAGS.get(form, "")
        )
    name = body[0]
    if "=" in name:
        key, of = name.split("=")
        return Element(form="draw", key=key, of=of, article=article)
    if name[0].isupper():
        variable, _, field = name.partition(".")
        return Element(form="recall", of=variable, field=field, article=article)
    return Element(form="draw", key=name, of=name.split(":")[0], article=article)


def _frame(stage: str, index: int, spec: dict, tags: Mapping[str, str]) -> Frame:
    weight = spec.get("w", 1.0)
    factors = weight if isinstance(weight, dict) else {}
    templates = {language: parse_template(spec[language], tags) for language in LANGUAGES}
    draws = {
        language: sorted((e.key, e.of) for e in templates[language] if e.form == "draw")
        for language in LANGUAGES
    }
    if draws["en"] != draws["zh"]:
        raise ValueError(
            f"{stage} {index}: both languages must speak the same choices, got {draws}"
        )
    if spec["next"] == "END":
        ending = (Element(form="literal", word=END, tag="END"),)
        templates = {language: templates[language] + ending for language in LANGUAGES}
    when = {
        variable: (wanted,) if isinstance(wanted, str) else tuple(wanted)
        for variable, wanted in spec.get("when", {}).items()
    }
    return Frame(
        stage=stage,
        index=index,
        weight=1.0 if factors else float(weight),
        factors=factors,
        when=when,
        sets=spec.get("set", {}),
        kind=spec.get("kind", "free"),
        means=spec.get("means", ""),
        next=spec["next"],
        templates=templates,
        draws=tuple(draws["en"]),
    )


@cache
def load() -> Grammar:
    """The grammar that ships with the course, checked."""
    lexicon, rules = _read("lexicon.toml"), _read("grammar.toml")
    meta = lexicon.pop("meta")
    tags = {word: tag for tag, words in lexicon.pop("tags").items() for word in words.split()}
    stages = {
        stage: tuple(_frame(stage, i, spec, tags) for i, spec in enumerate(frames))
        for stage, frames in rules["stage"].items()
    }
    values: dict[str, list[str]] = {}
    for frame in (frame for frames in stages.values() for frame in frames):
        if frame.next != "END" and frame.next not in stages:
            raise ValueError(f"{frame.stage} {frame.index}: no stage is called {frame.next!r}")
        for variable, value in frame.sets.items():
            if value not in values.setdefault(variable, []):
                values[variable].append(value)
    return Grammar(
        start=rules["start"],
        stages=stages,
        classes={name: _word_class(name, spec) for name, spec in lexicon.items()},
        holdout=tuple(tuple(pair) for pair in rules["holdout"]),
        values={variable: tuple(known) for variable, known in values.items()},
        vowels=frozenset(meta["vowels"]),
        tags=tags,
    )
