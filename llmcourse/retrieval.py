"""Search: BM25 over words, cosine over vectors, their fusion, chunks, and how search is scored.

    >>> index = BM25(["The cat sat.", "A dog ran home."])
    >>> index.search("Which dog ran?", k=1)
    [1]

BM25 counts words that question and document share. A dense index compares vectors of an encoder:
here the mean of a GPT's states, brought near each other by contrast. Each finds what the other
misses, and `fuse` joins their lists.
"""

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from llmcourse import optim
from llmcourse.gpt import GPT

__all__ = [
    "BM25",
    "Dense",
    "Pairs",
    "chunks",
    "cloze",
    "contrast",
    "distinct",
    "embed",
    "first_layers",
    "fuse",
    "info_nce",
    "passages",
    "pool",
    "rank",
    "recall",
    "sentences",
    "words",
]

_WORD = re.compile(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff]+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?]+[”\"’)]*(?=\s|$)|[。！？]+[”’]*|\Z)", re.DOTALL)
# Questions and documents of a step, as rows of ids: row i of one belongs to row i of the other.
Pairs = Callable[[int], tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]]


def words(text: str) -> list[str]:
    """Words in small letters; a run of Chinese characters gives its pairs of neighbours.

    Control characters, spaces and marks are no words, so a text of these alone has none.

    >>> words("Don't \\x00 stop: 住在哪里")
    ['don', 't', 'stop', '住在', '在哪', '哪里']
    """
    found: list[str] = []
    for run in _WORD.findall(text.lower()):
        if "\u4e00" <= run[0] <= "\u9fff" and len(run) > 1:
            found += [run[i : i + 2] for i in range(len(run) - 1)]
        else:
            found.append(run)
    return found


class BM25:
    """An index of documents, each scored by the words that it shares with a query.

    A word's weight is idf = log(1 + (N − n + ½) / (n + ½)) for n of N documents that hold it. In a
    document of l words (mean l̄) that holds it f times it adds idf · f / (f + k₁ (1 − b + b l / l̄)).
    This is Lucene's form: a word in most documents adds little and never takes away. Robertson and
    Zaragoza (2009); Kamphuis et al. (2020) on the variants.

    Raises:
        ValueError: there is no document, `k1` is negative, or `b` lies outside [0, 1].
    """

    def __init__(
        self,
        documents: Sequence[str],
        *,
        k1: float = 1.5,
        b: float = 0.75,
        words: Callable[[str], list[str]] = words,
    ) -> None:
        if isinstance(documents, str) or not documents:
            raise ValueError(f"an index needs a list of at least one document, got {documents!r}")
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"k1 must be at least 0 and b lie in [0, 1], got {k1} and {b}")
        self.words, self.size = words, len(documents)
        counts = [Counter(words(text)) for text in documents]
        lengths = np.array([c.total() for c in counts], dtype=float)
        mean = lengths.mean() or 1.0  # documents without a word: every score is 0 then
        damp = k1 * (1 - b + b * lengths / mean)
        postings: dict[str, list[tuple[int, int]]] = {}
        for number, counted in enumerate(counts):
            for word, f in counted.items():
                postings.setdefault(word, []).append((number, f))
        # Scores are summed when the index is made: a query only adds up what its words have here.
        self.postings: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for word, held in postings.items():
            where, f = (np.array(part) for part in zip(*held, strict=True))
            idf = np.log(1 + (self.size - len(where) + 0.5) / (len(where) + 0.5))
            self.postings[word] = where, idf * f / (f + damp[where])

    def scores(self, query: str) -> Float[np.ndarray, " N"]:
        """Every document's score, 0 where no word is shared. A word asked twice counts twice."""
        total = np.zeros(self.size)
        for word in self.words(query):
            if word in self.postings:
                where, gain = self.postings[word]
                total[where] += gain
        return total

    def search(self, query: str, k: int) -> list[int]:
        """The numbers of the k best documents, best first; fewer where fewer share a word."""
        scores = self.scores(query)
        return [i for i in rank(scores, k) if scores[i] > 0]


def rank(scores: Float[np.ndarray, " N"], k: int) -> list[int]:
    """The k highest, best first; of equals the earlier one.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return np.argsort(-np.asarray(scores), kind="stable")[:k].tolist()


def distinct(texts: Sequence[str]) -> list[int]:
    """Where each text stands first, spaces at ends and line breaks aside."""
    first: dict[str, int] = {}
    for number, text in enumerate(texts):
        first.setdefault(" ".join(text.split()), number)
    return list(first.values())


def fuse(rankings: Sequence[Sequence[int]], *, k: int, c: float = 60) -> list[int]:
    """Reciprocal rank fusion: a document's score is Σ 1 / (c + rank) over the lists that hold it.

    Only ranks count, so that scores on different scales can be joined. Cormack et al. (2009).
    """
    total: Counter[int] = Counter()
    for ranking in rankings:
        for place, number in enumerate(ranking, start=1):
            total[number] += 1 / (c + place)
    order = sorted(total, key=lambda number: (-total[number], number))
    return order[:k]


def recall(rankings: Sequence[Sequence[int]], gold: Sequence[int], k: int) -> list[bool]:
    """For each query, whether its document is among the first k found."""
    return [wanted in found[:k] for found, wanted in zip(rankings, gold, strict=True)]


# Cutting documents


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence begins and ends. Between two there are spaces only.

    A full stop inside (`e.g.`, `3.11`) ends none unless a space follows: then it does, wrongly.
    """
    return [(m.start(), m.start() + len(m.group().rstrip())) for m in _SENTENCE.finditer(text)]


def chunks(text: str, *, size: int, overlap: int = 0) -> list[tuple[int, int]]:
    """Spans of `size` sentences, each beginning `size − overlap` after the one before.

    The last one ends with the text and may be shorter; none lies wholly inside another.

    Raises:
        ValueError: `size` is below 1, or not 0 ≤ overlap < size.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ValueError(f"need size ≥ 1 and 0 ≤ overlap < size, got {size} and {overlap}")
    spans = sentences(text)
    cut = []
    for start in range(0, len(spans), size - overlap):
        window = spans[start : start + size]
        cut.append((window[0][0], window[-1][1]))
        if start + size >= len(spans):
            break
    return cut


def passages(text: str, fewest: int = 60) -> list[str]:
    """Paragraphs joined to at least `fewest` words; what is left over at the end joins the last.

    >>> passages("One two.\\n\\nThree.\\n\\nFour five.\\n\\nSix.", fewest=2)
    ['One two.', 'Three.\\n\\nFour five.\\n\\nSix.']
    """
    done: list[str] = []
    now: list[str] = []
    for paragraph in text.split("\n\n"):
        now.append(paragraph.strip())
        if len(words(" ".join(now))) >= fewest:
            done.append("\n\n".join(now))
            now = []
    if now:
        done = [*done[:-1], "\n\n".join([*done[-1:], *now])]
    return done


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cloze:
    """Queries whose document is known: each is a sentence that was taken out of it."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    gold: tuple[int, ...]  # the document's number, for each query


def cloze(passages: Sequence[str], *, seed: int, keep: float = 1.0, fewest: int = 8) -> Cloze:
    """From each passage one sentence as a query, the rest as the document to be found.

    The inverse cloze task of Lee et al. (2019). Of the query's words a share `keep` is kept, drawn
    with `seed`, in their order. Passages without a sentence of `fewest` words beside others are
    documents all the same.

    Raises:
        ValueError: `keep` is not above 0 and at most 1.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must lie above 0 and be at most 1, got {keep}")
    rng = random.Random(f"cloze {seed}")
    queries, documents, gold = [], [], []
    for number, text in enumerate(passages):
        spans = sentences(text)
        able = [s for s in spans if len(words(text[slice(*s)])) >= fewest]
        if len(spans) < 3 or not able:
            documents.append(text)
            continue
        start, end = rng.choice(able)
        asked = text[start:end].split()
        kept = sorted(rng.sample(range(len(asked)), max(1, round(keep * len(asked)))))
        queries.append(" ".join(asked[i] for i in kept))
        documents.append(f"{text[:start].rstrip()} {text[end:].lstrip()}".strip())
        gold.append(number)
    return Cloze(queries=tuple(queries), documents=tuple(documents), gold=tuple(gold))


# Vectors


def first_layers(model: GPT, layers: int) -> GPT:
    """A GPT of the first `layers` blocks, with copies of their weights.

    Raises:
        ValueError: the model has fewer, or `layers` is below 1.
    """
    if not 1 <= layers <= model.config.layers:
        raise ValueError(f"layers must lie in 1..{model.config.layers}, got {layers}")
    short = GPT(dataclasses.replace(model.config, layers=layers), seed=0)
    own = short.state_dict()
    short.load_state_dict({k: v for k, v in model.state_dict().items() if k in own})
    return short


def pool(states: Float[Tensor, "B T D"], real: Bool[Tensor, "B T"]) -> Float[Tensor, "B D"]:
    """Mean over the real tokens, brought to length 1: a cosine is then a dot product."""
    count = real.sum(1, keepdim=True).clamp(min=1)
    return F.normalize((states * real[..., None]).sum(1) / count, dim=-1)


def _vectors(model: GPT, rows: Sequence[Sequence[int]]) -> Float[Tensor, "B D"]:
    lengths = [len(row) for row in rows]
    if min(lengths) < 1:
        raise ValueError("a text needs at least one token to have a vector, got an empty one")
    device = model.embed.weight.device
    ids = torch.zeros(len(rows), max(lengths), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : lengths[i]] = torch.as_tensor(row)
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    x = model.embed_ids(ids.to(device))
    for block in model.blocks:
        x = block(x)
    x = x if model.norm is None else model.norm(x)
    return pool(x, real.to(device))


@torch.inference_mode()
def embed(
    model: GPT, rows: Sequence[Sequence[int]], *, batch: int = 64
) -> Float[np.ndarray, "N D"]:
    """A unit vector for each row of ids: the mean of the model's last states.

    Raises:
        ValueError: a row is empty or longer than the context.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    out = np.zeros((len(rows), model.config.width), dtype=np.float32)
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        out[some] = _vectors(model, [rows[i] for i in some]).float().cpu().numpy()
    return out


class Dense:
    """An index of unit vectors: the nearest by cosine.

    Raises:
        ValueError: there is no vector.
    """

    def __init__(self, vectors: Float[np.ndarray, "N D"]) -> None:
        if len(vectors) == 0:
            raise ValueError("an index needs at least one document, got none")
        self.vectors = vectors

    def search(self, query: Float[np.ndarray, " D"], k: int) -> list[int]:
        """The numbers of the k nearest, nearest first."""
        return rank(self.vectors @ query, k)


def info_nce(
    queries: Float[Tensor, "B D"], documents: Float[Tensor, "B D"], temperature: float = 0.05
) -> Float[Tensor, ""]:
    """Cross-entropy of each query's own document among all of the batch, in nats.

    Van den Oord et al. (2018); with the other rows as the wrong ones, Karpukhin et al. (2020).

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    logits = queries @ documents.mT / temperature  # (B, B): row i, column j
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def contrast(
    model: GPT,
    pairs: Pairs,
    *,
    steps: int,
    lr: float = 1e-3,
    temperature: float = 0.05,
    on_step: Callable[[int, float], None] | None = None,
) -> GPT:
    """Train an encoder in place so that each query lies nearest to its own document.

    The rate falls to zero along a cosine after a short warm-up.
    """
    made = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0)
    model.train()
    for step in range(steps):
        for group in made.param_groups:
            group["lr"] = lr * optim.warmup_cosine(step, steps=steps, warmup=max(1, steps // 20))
        asked, told = pairs(step)
        loss = info_nce(_vectors(model, asked), _vectors(model, told), temperature)
        made.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        made.step()
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
    return model.eval()
