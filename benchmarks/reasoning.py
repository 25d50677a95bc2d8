"""Reasoning measured: answers at once, after filler, after a chain; then samples, votes, verifiers.

    python -m benchmarks.reasoning            all of it; goes on if killed

Small models (two layers, 0.1 million parameters) learn the puzzles of `llmcourse.puzzles`, each
with the same questions. Checkpoints go to `llmcourse/models/reasoning/`, what was measured on
unseen combinations to `llmcourse/results/reasoning.json`. About twenty minutes of one core.
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import align, checkpoint, evaluate, puzzles, sample
from llmcourse.batches import IGNORED
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.train import TrainConfig, train

HOME = Path(llmcourse.__file__).parent
OUT, SHIPPED = HOME / "results" / "reasoning.json", HOME / "models" / "reasoning"
LONGEST, HARD, STEPS, BATCH = 8, 8, 900, 64
EARLY, QUESTIONS, SEEDS = 700, 400, (0, 1, 2)
KEPT = ("chain", "direct", "sum-chain", "sum-shown")  # these ship, beside two made of `chain`
VERIFIERS = {"verifier": (6, 7, 8), "verifier, one length": (8,)}  # lengths learned from
REPEATED = ("chain", "direct", "sum-direct")  # at every seed; the others at seed 0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One model: what it learns from, and for how long."""

    task: str = "exchange"
    form: str = "chain"
    steps: int = STEPS
    shown: bool = False  # chains are read, not learned, and half of them are another question's


# `direct-compute` sees as many tokens as `chain`: mean lengths are 28.5 and 19.5 tokens.
RUNS = {
    "chain": Run(),
    "direct": Run(form="direct"),
    "filler": Run(form="filler"),
    "sum-direct": Run(task="sum", form="direct"),
    "sum-chain": Run(task="sum"),
    "sum-shown": Run(task="sum", shown=True),
    "direct-compute": Run(form="direct", steps=1315),
}


class Shown:
    """Rows whose chain the model reads and does not learn: half are those of other questions.

    The answer, which is always the right one, is the only target.
    """

    def __init__(self, source: puzzles.PuzzleBatches) -> None:
        self.source = source

    def __call__(self, step: int):
        made = self.source.puzzles(step)
        half = len(made) // 2
        others = [*made[1:half], made[0], *made[half:]]
        x, y = puzzles.rows(
            made, [p.reply("chain", o.states) for p, o in zip(made, others, strict=True)]
        )
        y[:, :-2] = IGNORED  # but for the answer and the end
        return x, y


def fresh(seed: int) -> GPT:
    config = GPTConfig.modern(
        vocab_size=len(puzzles.VOCABULARY), context=128, width=64, heads=4, layers=2
    )
    return GPT(config, seed=seed)


def answers(model: GPT, asked, *, temperature: float = 0.0, seed: int = 0) -> list[list[str]]:
    """One reply to each question, in words."""
    prompts = [puzzles.encode(p.question) for p in asked]
    longest = 2 * max(len(p.steps) for p in asked) + 4
    generator = torch.Generator().manual_seed(seed)
    end = puzzles.encode(puzzles.END)
    found = sample.generate_many(
        model, prompts, max_new=longest, temperature=temperature, generator=generator, stop=end
    )
    return [puzzles.decode(ids).split() for ids in found]


def accuracy(model: GPT, task: str, steps: int, n: int = 400, held_out: bool = True):
    asked = puzzles.generate(task, steps=steps, n=n, seed=1, held_out=held_out)
    marks = [puzzles.mark(p, r) for p, r in zip(asked, answers(model, asked), strict=True)]
    return [sum(m.answer_right for m in marks), sum(m.valid for m in marks), n]


def learn(name: str, seed: int, folder: Path) -> GPT:
    run, model = RUNS[name], fresh(seed)
    batches = puzzles.PuzzleBatches(
        run.task, form=run.form, longest=LONGEST, batch=BATCH, seed=seed
    )
    settings = TrainConfig(
        steps=run.steps, lr=1e-2, optimizer="muon", precision="fp32", checkpoint_every=25, keep=20
    )
    source = Shown(batches) if run.shown else batches
    train(model, source, settings, out=folder / f"{name}-{seed}")
    return model.eval()


# What follows starts from a chain model stopped early: the hard questions are half learned.


def pack(drawn) -> list[dict]:
    """Samples in few characters: for each question its answers' initials and the chains' marks."""
    return [
        {
            "answer": "".join((m.answer or "-")[0] for m in marks),
            "right": "".join(str(int(m.answer_right)) for m in marks),
            "valid": "".join(str(int(m.valid)) for m in marks),
        }
        for marks in drawn
    ]


def samples(model: GPT, asked, group: int, seed: int, temperature: float = 1.0):
    """`group` replies to each question: their words, and their marks."""
    end, drawn = puzzles.encode(puzzles.END), []
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(asked), 25):
        drawn += align.rollouts(
            model, [puzzles.encode(p.question) for p in asked[start : start + 25]], group=group,
            max_new=2 * len(asked[0].steps) + 4, generator=generator, stop=end,
            temperature=temperature,
        )  # fmt: skip
    words = [[puzzles.decode(ids).split() for ids in group_] for group_ in drawn]
    return words, [
        [puzzles.mark(p, w) for w in group_] for p, group_ in zip(asked, words, strict=True)
    ]


def judged_rows(asked, words):
    """Question and reply as ids, for every reply."""
    return [
        puzzles.encode(p.question) + puzzles.encode(" ".join(reply))
        for p, group in zip(asked, words, strict=True)
        for reply in group
    ]


@torch.no_grad()
def verdicts(verifier: GPT, rows_) -> list[float]:
    """The verifier's log odds that a reply is right, read after its last token."""
    right, wrong = puzzles.encode("right wrong")
    found = []
    for start in range(0, len(rows_), 400):
        part = rows_[start : start + 400]
        long = max(map(len, part))
        ids = torch.tensor([r + [0] * (long - len(r)) for r in part])
        last = torch.tensor([len(r) - 1 for r in part])
        logits = verifier(ids)[0][torch.arange(len(part)), last]
        found += (logits[:, right] - logits[:, wrong]).tolist()
    return found


def learn_verifier(model: GPT, folder: Path, name: str, lengths: tuple[int, ...]) -> GPT:
    """Cobbe's verifier: the model goes on to learn which of its own replies were right."""
    rows_, labels = [], []
    for steps in lengths:
        asked = puzzles.generate(steps=steps, n=1200 // len(lengths), seed=77)
        words, marks = samples(model, asked, 4, seed=5)
        rows_ += judged_rows(asked, words)
        labels += [m.answer_right for group in marks for m in group]
    right, wrong = puzzles.encode("right wrong")

    def batches(step: int):
        chance = np.random.default_rng((9, step))
        chosen = chance.integers(0, len(rows_), BATCH)
        long = max(len(rows_[i]) for i in chosen)
        x = torch.zeros(BATCH, long, dtype=torch.long)
        y = torch.full_like(x, IGNORED)
        for b, i in enumerate(chosen):
            x[b, : len(rows_[i])] = torch.tensor(rows_[i])
            y[b, len(rows_[i]) - 1] = right if labels[i] else wrong
        return x, y

    verifier = copy.deepcopy(model)
    settings = TrainConfig(steps=250, lr=3e-3, precision="fp32")
    train(verifier, batches, settings, out=folder / name)
    return verifier.eval()


def reinforce(model: GPT, folder: Path, lengths: tuple[int, ...] = (HARD,)) -> GPT:
    """GRPO on questions of the training kind, with the exact answer as the reward."""
    made = (puzzles.generate(steps=k, n=2000 // len(lengths), seed=55) for k in lengths)
    asked = [p for row in zip(*made, strict=True) for p in row]
    learner = copy.deepcopy(model)

    def reward(i, new):
        return float(puzzles.mark(asked[i], puzzles.decode(new).split()).answer_right)

    config = align.GRPOConfig(
        steps=120, prompts=16, group=8, max_new=2 * HARD + 4, lr=5e-4, checkpoint_every=20
    )
    prompts = [puzzles.encode(p.question) for p in asked]
    end = puzzles.encode(puzzles.END)
    history = align.grpo(learner, prompts, reward, config, stop=end, out=folder / "grpo")
    learner.curve = history.series("reward")[1]
    return learner.eval()


def scores_of(early: GPT, asked, words, folder: Path) -> dict[str, np.ndarray]:
    """What each way of choosing thinks of each reply."""
    rows_, scores = judged_rows(asked, words), {}
    for name, lengths in VERIFIERS.items():
        verifier = learn_verifier(early, folder, name, lengths)
        scores[name] = np.round(verdicts(verifier, rows_), 1)
    replies = [w for group in words for w in group]
    nats = evaluate.token_nats(early, rows_, batch=400)
    pairs = zip(nats, replies, strict=True)
    scores["likelihood"] = np.round([-n[-len(w) :].mean() for n, w in pairs], 2)
    scores["length"] = np.array([len(w) for w in replies])
    return {name: s.reshape(len(asked), -1) for name, s in scores.items()}


def after_training(found: dict, folder: Path, keep) -> None:
    """Samples, verifier and GRPO, all from `chain` at step `EARLY`, seed 0."""
    if "samples" in found and "grpo" in found:
        return
    early = checkpoint.load(folder / "chain-0" / f"step-{EARLY:06d}").eval()
    ship(early, "early")
    asked = puzzles.generate(steps=HARD, n=QUESTIONS, seed=1, held_out=True)
    if "grpo" not in found:
        learner = reinforce(early, folder)
        ship(learner, "grpo")
        words, marks = samples(learner, asked, 32, seed=3)
        found["grpo"] = {"curve": [round(x, 4) for x in learner.curve], "samples": pack(marks)}
        found["grpo"]["greedy"] = accuracies(learner)
        keep()
    if "samples" not in found:
        words, marks = samples(early, asked, 64, seed=2)
        found["samples"] = pack(marks)
        scores = scores_of(early, asked, words, folder)
        for i, row in enumerate(found["samples"]):
            row |= {name: s[i].tolist() for name, s in scores.items()}
        found["early"] = {"greedy": accuracies(early)}
        keep()


def again(seed: int, found: dict, folder: Path, keep) -> None:
    """The same from another seed's chain model, kept as shares: 32 samples a question."""
    key = f"after | {seed}"
    if key in found:
        return
    learn("chain", seed, folder)
    early = checkpoint.load(folder / f"chain-{seed}" / f"step-{EARLY:06d}").eval()
    folder = folder / f"after-{seed}"
    asked = puzzles.generate(steps=HARD, n=QUESTIONS, seed=1, held_out=True)
    words, marks = samples(early, asked, 32, seed=2)
    right = np.array([[m.answer_right for m in group] for group in marks])
    votes = [most_frequent(group) for group in marks]
    row = {
        "one sample": right.mean(),
        "vote": np.mean([v == p.answer for v, p in zip(votes, asked, strict=True)]),
        "exact verifier": right.any(1).mean(),
    }
    for name, score in scores_of(early, asked, words, folder).items():
        if name != "length":
            row[name] = right[np.arange(len(right)), score.argmax(1)].mean()
    learner = reinforce(early, folder)
    for k in (4, HARD):
        row[f"greedy {k}"] = accuracy(early, "exchange", k)[0] / QUESTIONS
        row[f"GRPO greedy {k}"], row[f"GRPO chain {k}"] = (
            n / QUESTIONS for n in accuracy(learner, "exchange", k)[:2]
        )
    found[key] = {name: round(float(share), 4) for name, share in row.items()}
    print(key, found[key], flush=True)
    keep()


def mixed(found: dict, folder: Path, keep) -> None:
    """GRPO from the shipped early model on questions of all lengths, at the same price."""
    if "grpo, mixed" in found:
        return
    early = checkpoint.load(SHIPPED / "early").eval()
    learner = reinforce(early, folder / "mixed", (2, 4, 6, 8))
    found["grpo, mixed"] = {"greedy": accuracies(learner)}
    print("mixed", found["grpo, mixed"], flush=True)
    keep()


def most_frequent(group: Sequence[puzzles.Mark]) -> str | None:
    """The vote of a group; of a tie, the answer that came first."""
    given = [m.answer for m in group if m.answer is not None]
    return max(given, key=given.count) if given else None


def accuracies(model: GPT) -> dict:
    return {str(k): accuracy(model, "exchange", k) for k in (2, 4, 6, 8, 10, 12)}


def ship(model: GPT, name: str) -> None:
    checkpoint.save(model, SHIPPED / name, dtype="int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/reasoning"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(OUT.read_text()) if OUT.is_file() else {}

    def keep() -> None:
        now = json.loads(OUT.read_text()) if OUT.is_file() else {}
        checkpoint.write_file(OUT, json.dumps(now | found, separators=(",", ":")).encode() + b"\n")

    def trainings(seed: int) -> None:
        for name, run in RUNS.items():
            key = f"accuracy | {name} | {seed}"
            if key in found or (seed and name not in REPEATED):
                continue
            model = learn(name, seed, args.runs)
            judged = () if run.shown else (2, 3, 4, 6, 8)  # that one writes no replies
            found[key] = {str(k): accuracy(model, run.task, k) for k in judged}
            print(key, found[key], flush=True)
            if not seed and name in KEPT:
                ship(model, name)
            keep()

    trainings(0)
    after_training(found, args.runs, keep)
    mixed(found, args.runs, keep)
    for seed in SEEDS[1:]:
        trainings(seed)
        again(seed, found, args.runs, keep)


if __name__ == "__main__":
    main()
