"""What takes too long for the chapter on hidden Markov models: more seeds, and real text.

Two tables. *tagging*: Baum-Welch from random starts on untagged tales, each start's likelihood and
how well its states agree with the true tags. *words*: test perplexity of hidden Markov models of
Python's manual by number of states, beside Kneser-Ney n-grams of the same training text.

    python -m benchmarks.hmm            everything not yet done, then llmcourse/results/hmm.json
    python -m benchmarks.hmm --quick    the same in a few seconds, to see it work

One process, one thread. What is done is kept in runs/hmm/, one file a cell of a table.
"""

import argparse
import json
import os
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import data, tagging, tales
from llmcourse.hmm import HMM
from llmcourse.ngram import NGram

RESULT = Path(llmcourse.__file__).parent / "results" / "hmm.json"
WORD = re.compile(r"\w+|([^\w\s])\1*")  # as in the chapter on n-grams


@dataclass(frozen=True, kw_only=True)
class Settings:
    stories: int = 500
    test: int = 300
    starts: int = 8
    iterations: int = 60
    states: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    seeds: int = 3
    passes: int = 10
    steps: int = 10  # parameter updates a pass
    longest: int = 300  # words of a paragraph that are read


def kept(folder: Path, name: str, make) -> dict:
    """What `make()` gave, now or before."""
    path = folder / f"{name}.json"
    if not path.exists():
        made = make()
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(made))
        os.replace(draft, path)
        print(name, "done", flush=True)
    return json.loads(path.read_text())


def start(seed: int, settings: Settings) -> dict:
    """One run of Baum-Welch on tales, and its agreement with the tags."""
    train = tales.generate(seed=0, n=settings.stories, language="en", split="train")
    test = tales.generate(seed=0, n=settings.test, language="en", split="test")
    index = {w: i for i, w in enumerate([tales.END, *tales.terminals("en")])}
    tags = {g: i for i, g in enumerate(sorted({g for s in train for g in s.tags}))}
    x, test_x = (
        [[index[w] for w in (*s.tokens, tales.END)] for s in part] for part in (train, test)
    )
    true = np.concatenate([[tags[g] for g in s.tags] for s in test])
    model = HMM(states=len(tags), vocab=len(index), seed=seed, prior=0.01)
    history = model.fit(x, iterations=settings.iterations)
    found = np.concatenate(model.decode(test_x, by="token"))
    table = tagging.confusion(found, true, states=len(tags), tags=len(tags))
    scores = {}
    for name in ("many_to_one", "one_to_one"):
        right = getattr(tagging, name)(table)[found] == true
        scores[name] = float(right.mean())
    return {"seed": seed, "nats": history, **scores, "v_measure": float(tagging.v_measure(table))}


def manual(settings: Settings) -> tuple[int, list[list[int]], list[list[int]]]:
    """Python's manual as ids of words: vocabulary size, training and test paragraphs."""
    train, _, test = (
        [[m.group() for m in WORD.finditer(p)] + ["¶"] for p in part.split("\n\n") if p.strip()]
        for part in data.split(data.load("python-docs"), (0.8, 0.1, 0.1))
    )
    counts = Counter(w for p in train for w in p)
    words = ["<unk>", *sorted(w for w, c in counts.items() if c > 1)]
    index = {w: i for i, w in enumerate(words)}
    cut = settings.longest
    rows = [[[index.get(w, 0) for w in p[:cut]] for p in part] for part in (train, test)]
    return len(words), *rows


def words(states: int, seed: int, settings: Settings) -> dict:
    vocab, train, test = manual(settings)
    model = HMM(states=states, vocab=vocab, seed=seed, prior=0.01, dtype=torch.float32)
    model.fit(train, iterations=settings.passes, steps=settings.steps)
    return {"states": states, "seed": seed, "perplexity": model.perplexity(test)}


def ngrams(settings: Settings) -> dict:
    vocab, train, test = manual(settings)
    return {n: NGram(order=n, vocab=vocab).fit(train).perplexity(test) for n in (1, 2, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny settings, to see it work")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    settings = Settings()
    if quick:
        settings = Settings(stories=20, test=10, starts=2, iterations=3, states=(1, 2), seeds=1,
                            passes=1)  # fmt: skip
    folder = Path("runs") / ("hmm-quick" if quick else "hmm")
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "settings.json"
    if note.exists() and json.loads(note.read_text()) != json.loads(json.dumps(asdict(settings))):
        raise SystemExit(f"{folder} was made with other settings: move it away")
    note.write_text(json.dumps(asdict(settings)))
    corpus = data.load("python-docs")
    result = {
        "command": "python -m benchmarks.hmm",
        "settings": asdict(settings),
        "corpus": {"name": corpus.name, "sha256": corpus.sha256},
        "tagging": [
            kept(folder, f"start-{seed}", lambda seed=seed: start(seed, settings))
            for seed in range(settings.starts)
        ],
        "ngrams": kept(folder, "ngrams", lambda: ngrams(settings)),
        "words": [
            kept(folder, f"words-{j}-{seed}", lambda j=j, seed=seed: words(j, seed, settings))
            for j in settings.states
            for seed in range(settings.seeds if j > 1 else 1)
        ],
    }
    out = folder / "hmm.json" if quick else RESULT
    draft = out.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, out)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
