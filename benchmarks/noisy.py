"""What a language model is worth to a toy ear: wrong words by noise, model and kind of word.

    python -m benchmarks.noisy

About five minutes on one core. Each tale is said once at each level of noise, and heard by every
model; `llmcourse/results/noisy.json` holds wrong and said words of every tale. The chapter
`concepts/nlp` draws it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from llmcourse import models, noisy, tales
from llmcourse.ngram import NGram

OUT = Path(__file__).resolve().parents[1] / "llmcourse" / "results" / "noisy.json"
GROUPS = ("first name", "later name", "thing", "other")
OF_KIND = {"name": "first name", "recall": "later name", "thing": "thing"}


def readers(words: list[str], stories: int) -> dict[str, tuple[noisy.Reader, int]]:
    """Each language model, and the beam that it is searched with."""
    ids = {w: i for i, w in enumerate([*words, tales.END])}
    train = tales.generate(seed=1, n=stories)
    rows = [[ids[w] for w in (*s.tokens, tales.END)] for s in train]
    model, tok = models.load("tales")
    special = tok.special_tokens
    said = [tok.encode_tokens([w])[0] for w in words]
    gpt = noisy.GPTReader(model, start=special["<|en|>"], ids=said, end=special["<|end|>"])
    return {
        "none": (noisy.FlatReader(words), 1),
        "unigram": (noisy.NGramReader(NGram(order=1, vocab=len(ids)).fit(rows)), 1),
        "trigram": (noisy.NGramReader(NGram(order=3, vocab=len(ids)).fit(rows)), 24),
        "Transformer": (gpt, 24),
        "truth": (noisy.TruthReader(words), 96),
    }


def wrong(story: tales.Story, found: noisy.Found) -> dict[str, list[int]]:
    """For each group of words: how many were wrong, and how many were said."""
    out = {group: [0, 0] for group in GROUPS}
    for said, kind, heard in zip(story.tokens, story.kinds, found.best, strict=False):
        if noisy.spoken(said):
            cell = out[OF_KIND.get(kind, "other")]
            cell[0] += said != heard
            cell[1] += 1
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=48)
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.2, 0.4, 0.6, 0.8])
    parser.add_argument("--stray", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    words = list(tales.terminals("en"))
    stories = tales.generate(seed=0, n=asked.stories, split="test")
    table: dict[str, dict[str, list]] = {}
    missed = {}
    for noise in asked.noise:
        channel = noisy.Channel(noise=noise, stray=asked.stray)
        heard = [channel.hear(s.tokens, seed=i) for i, s in enumerate(stories)]
        for name, (reader, beam) in readers(words, asked.train).items():
            found = noisy.decode(heard, channel, words, reader, beam=beam)
            table.setdefault(name, {})[str(noise)] = [
                wrong(s, f) for s, f in zip(stories, found, strict=True)
            ]
            if name == "truth":
                # The right text scoring above the one found is proof that the search missed it.
                index = {w: i for i, w in enumerate(words)}
                right = [
                    channel.evidence(h, words)[range(len(h)), [index[w] for w in s.tokens]].sum()
                    + s.logprob
                    for h, s in zip(heard, stories, strict=True)
                ]
                missed[str(noise)] = int(
                    sum(r > f.scores[0] + 1e-6 for r, f in zip(right, found, strict=True))
                )
            total = np.array([[sum(c) for c in zip(*s.values(), strict=True)]
                              for s in table[name][str(noise)]]).sum(axis=0)  # fmt: skip
            print(f"noise {noise}: {name:12} {total[0] / total[1]:.2%}", flush=True)
    settings = {key: getattr(asked, key) for key in ("stories", "train", "noise", "stray")} | {
        "beams": {name: beam for name, (_, beam) in readers(words, 2).items()}
    }
    result = {
        "what": "[wrong, said] words of each tale, by model, noise and group of words",
        "command": "python -m benchmarks.noisy",
        "settings": settings,
        "right text scored above the found one (truth)": missed,
        "wrong": table,
    }
    asked.out.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
