"""Translation measured: an encoder-decoder and the tales model, taught to translate stories.

    python -m benchmarks.translation                    all of it; goes on if killed
    python -m benchmarks.translation --only cross-0     one part of PARTS

`cross-S` is an encoder-decoder from random weights (seed S), `decoder-S` the shipped tales model
read on as one sequence, source then target. First they read runs of one to three sentences, then
whole stories and runs by halves. `whole-0` is `cross-0` with whole stories alone at the end. The
checkpoints of seed 0 go, in int8, to `llmcourse/models/translation/`, what was measured on them to
`llmcourse/results/translation.json`. `real` learns from real pairs (`llmcourse.bilingual`), English
to Chinese, with a byte-level BPE. About half an hour of one core.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import llmcourse
from llmcourse import align, bilingual, checkpoint, models, sample, seq2seq, tales
from llmcourse.tokenizers import BPE, TalesTokenizer
from llmcourse.train import History, TrainConfig, train

HOME = Path(llmcourse.__file__).parent
OUT, SHIPPED = HOME / "results" / "translation.json", HOME / "models" / "translation"
FORM = dict(context=160, width=128, heads=4, encoder_layers=2, layers=2)  # 1.08 M parameters
STORIES = 6000  # for training; each is told both ways
COMMON = dict(optimizer="muon", weight_decay=0.05, log_every=25, checkpoint_every=50)
# Rows a step, then what `TrainConfig` takes. `runs` holds runs of one to three sentences, `stories`
# whole stories, `both` as many of either.
RUNS = dict(lr=4e-3, schedule="constant", warmup=30)
LAST = dict(lr=4e-3, schedule="cosine", warmup=20)
PHASES = {
    "cross": {"runs": (64, RUNS | {"steps": 500}), "both": (32, LAST | {"steps": 500})},
    "whole": {"runs": (64, RUNS | {"steps": 500}), "stories": (16, LAST | {"steps": 700})},
    "decoder": {
        "runs": (64, RUNS | {"steps": 300, "lr": 2e-3}),
        "both": (32, LAST | {"steps": 500, "lr": 2e-3}),
        "again": (32, LAST | {"steps": 300, "lr": 2e-3}),  # as `both`, on other stories
    },
}
TESTED = 200  # stories of each split, scored once; half as many where asking is slow
PARTS = ("cross-0", "whole-0", "decoder-0", "real", "cross-1", "cross-2")
WAYS = {"en-zh": ("en", "zh"), "zh-en": ("zh", "en")}

tokenizer = TalesTokenizer()
MARK = {language: tokenizer.special_tokens[f"<|{language}|>"] for language in tales.LANGUAGES}
END = tokenizer.special_tokens["<|end|>"]
Pair = tuple[list[int], list[int]]


def pair(story: tales.Story, way: str, run: tuple[int, int] | None = None) -> Pair:
    """Source ids, and target ids from its language's mark to the end; of a run of sentences."""
    sides = []
    for language in WAYS[way]:
        told = story.translate(language)
        ends = (0, *told.sentence_ends)
        first, last = run or (0, len(ends) - 1)
        sides.append(tokenizer.encode_tokens(told.tokens[ends[first] : ends[last]]))
    return sides[0], [MARK[WAYS[way][1]], *sides[1], END]


def runs(stories: list[tales.Story], seed: int) -> list[Pair]:
    """Every story cut into runs of one to three sentences, each told one way."""
    chance, rows = random.Random(f"runs {seed}"), []
    for story in stories:
        n, first = len(story.sentence_ends), 0
        if story.sentence_ends[-1] == story.sentence_ends[-2]:
            n -= 1  # the last sentence is empty
        while first < n:
            last = min(n, first + chance.randint(1, 3))
            rows.append(pair(story, chance.choice(list(WAYS)), (first, last)))
            first = last
    return rows


def teaching(phase: str, seed: int) -> list[Pair]:
    stories = tales.generate(seed=(9500 if phase == "again" else 9000) + seed, n=STORIES)
    if phase == "runs":
        return runs(stories, seed)
    whole = [pair(story, way) for story in stories for way in WAYS]
    return whole if phase == "stories" else whole + runs(stories, 100 + seed)[: len(whole)]


def rows_of(pairs: list[Pair]) -> list[tuple[list[int], list[bool]]]:
    """Pairs as one sequence each, as the tales model reads stories: mark, source, end, target."""
    other = {MARK["en"]: MARK["zh"], MARK["zh"]: MARK["en"]}
    out = []
    for source, target in pairs:
        before = [other[target[0]], *source, END, target[0]]
        out.append(([*before, *target[1:]], [False] * len(before) + [True] * (len(target) - 1)))
    return out


def batches(kind: str, pairs: list[Pair], batch: int, seed: int):
    if kind == "decoder":
        return align.AnswerBatches(rows_of(pairs), batch=batch, seed=seed)
    return seq2seq.PairBatches(pairs, batch=batch, seed=seed)


def translations(model: nn.Module, sources: list[list[int]], language: str) -> list[list[int]]:
    """Greedy translations into a language, without marks."""
    if isinstance(model, seq2seq.Seq2Seq):
        return seq2seq.translate(model, sources, start=MARK[language], end=END, max_new=140)
    prompts = [row[0] for row in rows_of([(s, [MARK[language]]) for s in sources])]
    room = [model.config.context - len(p) for p in prompts]
    found = []
    for at in range(0, len(prompts), 50):
        new = sample.generate_many(
            model, prompts[at : at + 50], max_new=min(140, *room[at : at + 50]), stop=[END],
            temperature=0,
        )  # fmt: skip
        found += [ids[: ids.index(END)] if END in ids else ids for ids in new]
    return found


def measured(model: nn.Module, *, n: int, splits: tuple[str, ...] = ("test", "held-out")) -> dict:
    """By split and way: the numbers of the stories that came out wrong, and what came out."""
    found: dict = {}
    for split in splits:
        stories = tales.generate(seed=77, n=n, split=split)
        for way, (_, language) in WAYS.items():
            pairs = [pair(story, way) for story in stories]
            got = translations(model, [source for source, _ in pairs], language)
            wrong = {
                str(i): tokenizer.decode(ids)
                for i, (ids, (_, target)) in enumerate(zip(got, pairs, strict=True))
                if ids != target[1:-1]
            }
            found.setdefault(split, {})[way] = {"n": n, "wrong": wrong}
    return found


def sentences(model: nn.Module, *, n: int) -> dict:
    """Single sentences of test stories, alone: right of how many, by way."""
    found = {}
    stories = tales.generate(seed=77, n=n, split="test")
    for way, (_, language) in WAYS.items():
        pairs = [
            pair(story, way, (i, i + 1))
            for story in stories
            for i in range(len(story.sentence_ends))
        ]
        pairs = [p for p in pairs if p[0]]
        got = translations(model, [source for source, _ in pairs], language)
        right = [ids == target[1:-1] for ids, (_, target) in zip(got, pairs, strict=True)]
        lost = [
            (tokenizer.decode(p[0]), tokenizer.decode(ids))
            for p, ids, ok in zip(pairs, got, right, strict=True)
            if not ok
        ]
        found[way] = {"n": len(right), "right": sum(right), "wrong": lost[:20]}
    return found


def shown(part: str, history: History) -> None:
    print(part, {k: history.records[-1][k] for k in ("step", "loss")}, flush=True)


def learn(part: str, folder: Path) -> tuple[nn.Module, dict]:
    """Teach one model in its phases; its losses and its dev score go into the report."""
    kind, seed = part.split("-")[0], int(part.split("-")[1])
    if kind == "decoder":
        model: nn.Module = models.load("tales")[0]
    else:
        config = seq2seq.Seq2SeqConfig(
            vocab_size=tokenizer.vocab_size, starts=tuple(MARK.values()), **FORM
        )
        model = seq2seq.Seq2Seq(config, seed=seed)
    about: dict = {"parameters": sum(p.numel() for p in model.parameters())}
    for phase, (batch, settings) in PHASES[kind].items():
        began = time.process_time()
        history = train(
            model,
            batches(kind, teaching(phase, seed), batch, seed),
            TrainConfig(**COMMON, **settings, seed=seed),
            out=folder / part / phase,
            on_log=lambda h: shown(part, h),
        )
        steps, losses = history.series("loss")
        about[phase] = {
            "steps": steps,
            "losses": [round(x, 4) for x in losses],
            "cpu seconds": round(time.process_time() - began),
        }
    dev = measured(model, n=50, splits=("dev",))["dev"]
    about["dev wrong of 50"] = {way: len(found["wrong"]) for way, found in dev.items()}
    print(part, about["dev wrong of 50"], flush=True)
    return model, about


def report(part: str, folder: Path) -> dict:
    model, about = learn(part, folder)
    kept = part in ("cross-0", "decoder-0")
    place = SHIPPED / part.split("-")[0] if kept else folder / part / "int8"
    checkpoint.save(model, place, dtype="int8", extra={"part": part})
    model = checkpoint.load(place)
    n = TESTED // 2 if part.startswith("decoder") else TESTED  # it is slower to ask
    about |= measured(model, n=n)
    about["sentences"] = sentences(model, n=n // 4)
    return about


def real() -> dict:
    """The same encoder-decoder on some 1,300 real pairs; what it makes of the test parts."""
    corpora = {name: bilingual.load(name) for name in bilingual.NAMES}
    learned = [p for c in corpora.values() for p in c.train]
    text = "\n".join(side for p in learned for side in p)
    bpe = BPE.train(text, 1200, special_tokens=["<|pad|>", "<|start|>", "<|end|>"])
    pad, start, end = (bpe.special_tokens[f"<|{name}|>"] for name in ("pad", "start", "end"))
    rows = [(bpe.encode(en), [start, *bpe.encode(zh), end]) for en, zh in learned]
    config = seq2seq.Seq2SeqConfig(
        vocab_size=bpe.vocab_size, starts=(start,), pad=pad, **FORM | {"context": 128}
    )
    model = seq2seq.Seq2Seq(config, seed=0)
    history = train(
        model,
        seq2seq.PairBatches(rows, batch=32, seed=0, pad=pad),
        TrainConfig(steps=500, lr=3e-3, optimizer="muon", weight_decay=0.1, log_every=25),
        on_log=lambda h: shown("real", h),
    )
    steps, losses = history.series("loss")
    found: dict = {"steps": steps, "losses": [round(x, 4) for x in losses]}
    for name, corpus in corpora.items():
        sources = [bpe.encode(en) for en, _ in corpus.test]
        got = seq2seq.translate(model, sources, start=start, end=end, max_new=80)
        found[name] = {"about": corpus.about, "test": [bpe.decode(ids) for ids in got]}
    return found


def write(name: str, value: dict) -> None:
    found = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    found[name] = value
    checkpoint.write_file(OUT, json.dumps(found, ensure_ascii=False, indent=0).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "translation")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part in [given.only] if given.only else PARTS:
        write(part, real() if part == "real" else report(part, given.runs))
        print(part, "written", np.round(time.process_time()), flush=True)


if __name__ == "__main__":
    main()
