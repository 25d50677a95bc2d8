"""What stands where a live figure cannot run: one state of it, computed when the page is built."""

import html
import json
from collections.abc import Callable
from functools import cache

import torch

from llmcourse import models, plots, tales
from llmcourse.autograd import Value, topological
from llmcourse.tokenizers import BPE, GPT2_PATTERN, ByteTokenizer, Tokenizer
from llmcourse.widgets.assets import STORIES, asset, figures

__all__ = ["still"]

PROMPT = "Once a baker named Anna lived"
TEXT = "Unbelievable! It's a naïve cat, 词元."
RECALL = (
    "Across the river lived Greta, a young baker. She had a lodger named Nina. "
    "Her treasure was a green lamp by the window. One hot night Greta wanted to give"
)
OTHER = RECALL.replace("Nina", "*").replace("Greta", "Nina").replace("*", "Greta")
LEARN = "low lower lowest, new newer newest, wide wider widest"
MERGES = 8
TOLD = ("form", "agreement", "thing", "recall", "track")  # kinds of choice


@cache
def still(figure: str) -> str:
    """The still of a live figure, as HTML.

    Raises:
        ValueError: there is no such figure; the message names those that are.
    """
    made = _STILLS.get(figure)
    if made is None:
        raise ValueError(f"a live figure is one of {figures()}, got {figure!r}")
    return made()


@torch.no_grad()
def _playground() -> str:
    model, tokenizer = models.load("tales")
    start = tokenizer.special_tokens["<|en|>"]
    words = tales.tokenize(PROMPT, "en")
    logits, _ = model(torch.tensor([[start, *tokenizer.encode_tokens(words)]]))
    q = logits[0, -1].softmax(-1)
    truth = tales.next_distribution(words)
    likely = sorted(truth, key=truth.__getitem__, reverse=True)[:8]
    fig, ax = plots.figure(height=2.6)
    rows = range(len(likely))
    given = [100 * float(q[tokenizer.encode_tokens([w])[0]]) for w in likely]
    ax.barh(rows, given, height=0.6, color=plots.COLORS["blue"])
    ax.plot([100 * truth[w] for w in likely], rows, "|", ms=14, mew=2, color=plots.COLORS["green"])
    ax.set_yticks(rows, likely)
    ax.invert_yaxis()
    ax.set(xlabel="next token, %: the model's bars, the truth's marks")
    alt = (
        f"Bars of the model's next-token probabilities after “{PROMPT}”; a mark on each: the true."
    )
    return plots.show(fig, "live-playground", f"After “{PROMPT}”.", alt=alt).bundle()["text/html"]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    cells = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="table"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>'


def _shown(token: bytes) -> str:
    """A token as text, or in hexadecimal where it is no whole character."""
    try:
        return token.decode().replace(" ", "␣")
    except UnicodeDecodeError:
        return token.hex(" ").upper()


def _pieces(tokenizer: Tokenizer) -> tuple[str, str]:
    ids = tokenizer.encode(TEXT)
    return str(len(ids)), " · ".join(_shown(tokenizer.token_bytes(i)) for i in ids)


def _tokens() -> str:
    import regex

    words = regex.findall(GPT2_PATTERN, TEXT)
    _, bpe = models.load("gpt2-mini")
    rows = [
        ("GPT-2's pre-split", str(len(words)), " · ".join(w.replace(" ", "␣") for w in words)),
        ("course BPE, 1,024 tokens", *_pieces(bpe)),
        ("bytes", *_pieces(ByteTokenizer())),
    ]
    return _table(("cut by", "pieces", TEXT), rows)


def _bpe() -> str:
    bpe = BPE.train(LEARN, vocab_size=256 + MERGES)
    rows = [
        (str(n), f"{_shown(bpe.token_bytes(a))} + {_shown(bpe.token_bytes(b))}")
        for n, (a, b) in enumerate(bpe.merges, 1)
    ]
    return _table(("merge", f"learned from “{LEARN}”"), rows)


@torch.no_grad()
def _attention() -> str:
    model, tokenizer = models.load("tales")
    words = tales.tokenize(RECALL, "en")
    ids = [tokenizer.special_tokens["<|en|>"], *tokenizer.encode_tokens(words)]
    last = model.trace(torch.tensor([ids])).attention[-1, 0, :, -1]  # (H, T)
    seen = ["(start)", *words]
    rows = []
    for head, weights in enumerate(last):
        best = weights.topk(3)
        told = (f"{seen[i]} {100 * w:.0f} %" for w, i in zip(*best, strict=True))
        rows.append((f"{model.config.layers - 1}.{head}", ", ".join(told)))
    return _table(("head", f"looks most at, at the end of “{RECALL}”"), rows)


def _backprop() -> str:
    w, x, b, y = Value(0.8, "w"), Value(1.5, "x"), Value(-0.4, "b"), Value(1.0, "y")
    loss = ((w * x + b).tanh() - y) ** 2
    loss.backward()
    rows = [
        (v.name or v.op, f"{v.data:.4f}", f"{v.grad:.4f}".replace("-", "−"))
        for v in topological(loss)
    ]
    return _table(("L = (tanh(w*x + b) − y)^2", "value", "derivative of L by it"), rows)


def _cache() -> str:
    config = models.load("tales")[0].config
    rows = []
    for length in (1, 16, 64, 128):
        seen = [config.flops_per_token(t) // 2 for t in range(1, length + 1)]
        spared = (length - 1) * config.width * config.vocab_size  # only one row is unembedded
        held = 2 * config.layers * config.kv_heads * config.head_width * 4 * length
        rows.append((str(length), f"{seen[-1]:,}", f"{sum(seen) - spared:,}", f"{held:,}"))
    head = ("token number", "multiply-adds with a cache", "without", "cache, bytes")
    return _table(head, rows)


def _time() -> str:
    film = json.loads(asset("timemachine.json")[0])
    rows = [
        (f"{m['step']:,}", f"{m['bits']:.1f}", *(f"{max(0, m['excess'][k]):.1f}" for k in TOLD))
        for m in film["moments"]
    ]
    return _table(("steps", "bits above the truth", *TOLD), rows)


def _train() -> str:
    rows = [
        ("model", "a GPT of 2 layers, 4 heads, width 32: some 27 thousand parameters"),
        ("text", f"{STORIES} tales, character by character, or your own"),
        ("step", "8 windows of 32 characters, AdamW, warm-up of 20 steps, clipping at 1"),
        ("shown", "loss beside that of counting letters, gradient norm, samples"),
    ]
    return _table(("trained in the page", ""), rows)


_STILLS: dict[str, Callable[[], str]] = {
    "attention": _attention,
    "backprop": _backprop,
    "bpe": _bpe,
    "cache": _cache,
    "playground": _playground,
    "time": _time,
    "tokens": _tokens,
    "train": _train,
}
