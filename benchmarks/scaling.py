"""The scaling sweep: loss against model size and data, where the loss's floor is known.

Transformers of two blocks and growing width read English tales once. Each width is trained in one
stable run at a constant rate; at 80 % of each amount of data a copy branches off and its rate
falls to zero over the last 20 % (Hägele et al., 2024), so that five points cost little more than
one. Each point is scored on the same test stories in bits a story above the language's own
surprise: subtracting what is known shrinks the error many times (a control variate). A second,
smaller sweep reads the bytes of Python's documentation, whose entropy nobody knows.

    python -m benchmarks.scaling             everything not yet done, then the result
    python -m benchmarks.scaling --tune      the learning rates tried, on a small and a larger width
    python -m benchmarks.scaling --table     the result of what there is
    python -m benchmarks.scaling --quick     the same in a minute, to see it work

One process, one thread. Every point is kept in runs/scaling as it is made; a width that was cut
off repeats its stable run, not its finished branches.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

import llmcourse
from benchmarks.separation import kinds_of, rows_of, true_nats
from llmcourse import checkpoint, data, evaluate, sweep, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits

RESULT = Path(llmcourse.__file__).parent / "results" / "scaling.json"
HEADS = {8: 1, 12: 1, 16: 1, 24: 2, 32: 2, 48: 3, 64: 4, 96: 6}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one sweep is made with."""

    layers: int = 2
    widths: tuple[int, ...] = (8, 16, 32, 64, 12, 24, 48, 96)  # coarse grid first
    stories: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384)
    longest: int = 128  # tokens; no story has more
    test: int = 1000  # stories
    batch: int = 16  # stories, or windows
    # Tried on two widths (--tune): the best rate falls with width, about as its square root.
    lr: float = 4e-2  # at width 32
    seed: int = 0
    repeats: tuple[int, ...] = (16, 32, 48, 64, 96, 8, 12, 24)  # again with two more seeds
    docs_widths: tuple[int, ...] = (8, 16, 32, 64)
    docs_steps: tuple[int, ...] = (40, 80, 160, 320)
    docs_batch: int = 8
    docs_context: int = 128

    @classmethod
    def quick(cls) -> "Settings":
        return cls(widths=(8, 16), stories=(256, 512), test=50, repeats=(), docs_widths=(8,),
                   docs_steps=(20, 40))  # fmt: skip


@lru_cache(maxsize=1)
def test_set(settings: Settings) -> tuple:
    """Test stories as ids, their kinds and their true surprise."""
    stories = tales.generate(seed=0, n=settings.test, language="en", split="test")
    vocab, rows = rows_of(stories, "en")
    return vocab, rows, [kinds_of(s) for s in stories], [true_nats(s) for s in stories]


@lru_cache(maxsize=1)
def training_rows(n: int, seed: int) -> list[list[int]]:
    return rows_of(tales.generate(seed=seed, n=n, language="en", split="train"), "en")[1]


def model_of(width: int, layers: int, vocab: int, context: int, seed: int) -> GPT:
    form = GPTConfig.modern(
        vocab_size=vocab, context=context, width=width, layers=layers, heads=HEADS[width]
    )
    return GPT(form, seed=seed)


def rate(settings: Settings, width: int) -> float:
    return settings.lr * (32 / width) ** 0.5


def sizes(model: GPT) -> dict[str, int]:
    total = model.parameter_count()
    return {"hidden": total - model.embed.weight.numel(), "total": total}


def score_tales(model: GPT, settings: Settings) -> dict:
    """Excess bits a story, its standard error, the error it would have otherwise, and by kind."""
    _, rows, kinds, known = test_set(settings)
    scored = evaluate.token_nats(model, rows, batch=64)
    names = sorted({k for row in kinds for k in row})
    excess = np.zeros((len(rows), len(names)))
    for i, nats in enumerate(scored):
        np.add.at(excess[i], [names.index(k) for k in kinds[i]], bits(nats - known[i]))
    n = len(rows) ** 0.5
    loss = np.array([bits(nats.sum()) for nats in scored])
    total = excess.sum(1)
    return {
        "excess": float(total.mean()),
        "error": float(total.std(ddof=1) / n),
        "plain loss": float(loss.mean()),
        "plain error": float(loss.std(ddof=1) / n),
        "kinds": dict(zip(names, excess.mean(0).tolist(), strict=True)),
    }


@lru_cache(maxsize=1)
def docs_ids() -> tuple[np.ndarray, np.ndarray]:
    parts = data.split(data.load("python-docs"))
    return tuple(
        np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)
        for text in (parts.train, parts.dev + parts.test)
    )


def score_docs(model: GPT, settings: Settings) -> dict:
    nats = evaluate.sequence_nats(
        model, docs_ids()[1], context=settings.docs_context, stride=settings.docs_context, batch=64
    )
    blocks = np.array([bits(b.mean()) for b in np.array_split(nats, 100)])
    return {"loss": float(bits(nats.mean())), "error": float(blocks.std(ddof=1) / 10)}


def run(data_name: str, width: int, seed: int, settings: Settings, folder: Path) -> None:
    """Every point of one width, each kept as it is made."""
    s = settings
    lengths = [n // s.batch for n in s.stories] if data_name == "tales" else list(s.docs_steps)

    def kept(length: int) -> Path:
        return folder / f"{data_name}-{width:03d}-{seed}-{length:05d}.json"

    if all(kept(length).exists() for length in lengths):
        return
    if data_name == "tales":
        rows = training_rows(max(Settings().stories), seed)
        source = sweep.once_through(rows, s.batch, seed)
        vocab, context = test_set(s)[0], s.longest
        score = score_tales
    else:
        source = sweep.windows_once(docs_ids()[0], s.docs_batch, s.docs_context, seed)
        vocab, context, score = 256, s.docs_context, score_docs
    model = model_of(width, s.layers, vocab, context, seed)
    config = sweep.Branched(lr=rate(s, width))
    began = time.process_time()
    done = sweep.branches(model, source, lengths, config, skip=lambda n: kept(n).exists())
    for length, trained in done:
        tokens = sum(int((source(i)[1] >= 0).sum()) for i in range(length))
        examples = length * (s.batch if data_name == "tales" else s.docs_batch)
        point = {"width": width, "seed": seed, "lr": rate(s, width), **sizes(model),
                 "examples": examples, "steps": length, "tokens": tokens,
                 **score(trained, s)}  # fmt: skip
        point["cpu seconds so far"] = round(time.process_time() - began, 1)
        checkpoint.write_file(kept(length), json.dumps(point).encode())
        shown = point.get("excess", point.get("loss"))
        print(f"{data_name} width {width} seed {seed} steps {length}: {shown:.3f} "
              f"± {point['error']:.3f}, {point['cpu seconds so far']} s", flush=True)  # fmt: skip


def tune(settings: Settings, folder: Path) -> None:
    """Learning rates on a small width and a larger one, at a short and a longer length."""
    for width in (16, 64):
        for lr in (5e-3, 1e-2, 2e-2, 4e-2, 8e-2):
            kept = folder / f"tune-{width}-{lr:g}.json"
            if kept.exists():
                continue
            s = replace(settings, lr=lr, test=200)
            vocab = test_set(s)[0]
            source = sweep.once_through(training_rows(2048, 1), s.batch, 1)
            model = model_of(width, s.layers, vocab, s.longest, 1)
            scores = {
                n * s.batch: score_tales(trained, s)["excess"]
                for n, trained in sweep.branches(model, source, [64, 128], sweep.Branched(lr=lr))
            }
            note = {"width": width, "lr": lr, "excess": scores}
            checkpoint.write_file(kept, json.dumps(note).encode())
            print(note, flush=True)


def table(settings: Settings, folder: Path) -> dict:
    def read(pattern: str) -> list:
        return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]

    return {
        "what": "bits a story above the truth on tales, bits a byte on Python's documentation, "
        "by model size and by data read once",
        "command": "python -m benchmarks.scaling",
        "settings": asdict(settings),
        "entropy": tales.entropy("en"),
        "entropy by kind": dict(tales.entropy_by_kind("en")),
        "tales": read("tales-*.json"),
        "docs": read("docs-*.json"),
        "tuning": read("tune-*.json"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--table", action="store_true", help="only gather what is done")
    parser.add_argument("--quick", action="store_true", help="tiny settings, to see it work")
    parser.add_argument("--out", type=Path, help="where the result goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings.quick() if arguments.quick else Settings()
    folder = Path("runs") / ("scaling-quick" if arguments.quick else "scaling")
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "settings.json"
    now = json.dumps(asdict(settings), indent=1)
    if arguments.tune:
        tune(settings, folder)
        return
    if note.exists() and note.read_text() != now:
        raise SystemExit(f"{folder} was made with other settings: move it away, or use them")
    note.write_text(now)
    if not arguments.table:
        coarse, fine = settings.widths[:4], settings.widths[4:]
        for width in coarse:
            run("tales", width, settings.seed, settings, folder)
        for width in settings.docs_widths:
            run("docs", width, settings.seed, settings, folder)
        for width in fine:
            run("tales", width, settings.seed, settings, folder)
        for seed in (1, 2):  # outside, so that a seed's stories are made once
            for width in settings.repeats:
                run("tales", width, seed, settings, folder)
    out = arguments.out or (folder / "scaling.json" if arguments.quick else RESULT)
    text = json.dumps(table(settings, folder), indent=1) + "\n"
    checkpoint.write_file(out, text.encode())
    print(f"written to {out}")


if __name__ == "__main__":
    main()
