"""Alignment measured: base, SFT, DPO and GRPO on questions about stories, and a reward gamed.

    python -m benchmarks.alignment           about fifteen minutes of one core; goes on if killed

The shipped `tales` model learns to answer questions on English stories. SFT reads demonstrations;
DPO compares the SFT model's own answers; GRPO samples and is paid for the exact answer. Then a
reward that also pays for length is maximised, without and with a penalty on the KL. Writes
`llmcourse/results/alignment.json`, and of seed 0 the model after SFT and the one after SFT with
replay as `tales-sft` and `tales-chat` among the shipped models.
"""

import argparse
import copy
import dataclasses
import json
from pathlib import Path

import torch

from llmcourse import align, chat, checkpoint, evaluate, models, tales
from llmcourse.align.stories import UNKNOWN, items, talks
from llmcourse.metrics import bits
from llmcourse.train import TrainConfig, train

HERE = Path(__file__).parents[1] / "llmcourse"
OUT, SHIPPED = HERE / "results" / "alignment.json", HERE / "models"
DEMONSTRATIONS = 400  # stories, every question on each
SFT = TrainConfig(
    steps=220, lr=3e-3, optimizer="muon", weight_decay=0.0, precision="fp32", checkpoint_every=40
)
COMPARED = 60  # stories on which the SFT model's answers are compared
DPO = dict(steps=30, batch=12, lr=1e-4, beta=0.1, checkpoint_every=10)
GRPO = dict(steps=60, prompts=16, group=8, lr=3e-4, checkpoint_every=10)
PROMPTED = 600  # stories on which GRPO asks
REPLAYED = 400  # stories in each language beside the demonstrations, in one further run
BONUS = 0.3  # what the gamed reward pays for each token
HACK = dict(steps=50, prompts=8, group=8, lr=5e-4, length="sum", scale="none", checkpoint_every=10)
CURES = {"none": 0.0, "KL": 0.5}  # weights of the KL, nats a token
JUDGED = {"test": 50, "held-out": 30}  # stories, eleven questions each


def stories(seed: int, n: int, split: str = "train") -> list[tales.Story]:
    return tales.generate(seed=seed, n=n, split=split)


@torch.no_grad()
def kl_on_samples(model, reference, prompts, new) -> float:
    """KL(model ‖ reference) in nats an answer: exact at each token of answers that it drew."""
    rows = [
        ([*p, *n], [False] * len(p) + [True] * len(n)) for p, n in zip(prompts, new, strict=True)
    ]
    total = 0.0
    for start in range(0, len(rows), 32):
        ids, answer = align.pad_rows(rows[start : start + 32])
        p, q = (m(ids[:, :-1])[0].log_softmax(-1) for m in (model, reference))
        total += float(((p.exp() * (p - q)).sum(-1) * answer[:, 1:]).sum())
    return total / len(rows)


class Judge:
    """The questions of test and of held-out combinations, and what is measured on them."""

    def __init__(self, tokenizer, base) -> None:
        self.tokenizer, self.base = tokenizer, base
        self.end = chat.marks(tokenizer)["end"]
        self.items = {split: items(tokenizer, stories(77, n, split)) for split, n in JUDGED.items()}
        self.told = {lang: tales.generate(seed=78, n=60, language=lang, split="test")
                     for lang in tales.LANGUAGES}  # fmt: skip

    def __call__(self, model, sft=None) -> dict:
        found = {}
        for split, asked in self.items.items():
            got = align.answers(model, self.tokenizer, [i.prompt for i in asked])
            found[split] = self.counts(asked, got)
        asked = self.items["test"][: 11 * 10]
        found["samples"] = [
            {"about": i.about, "question": i.question, "wanted": i.wanted, "got": g}
            for i, g in zip(asked[:22], got_first(model, self.tokenizer, asked[:22]), strict=True)
        ]
        prompts = [i.prompt for i in asked]
        drawn = align.rollouts(model, prompts, group=1, max_new=24, generator=5, stop=[self.end])
        new = [g[0] for g in drawn]
        found["kl to base"] = float(bits(kl_on_samples(model, self.base, prompts, new)))
        if sft is not None:
            found["kl to sft"] = float(bits(kl_on_samples(model, sft, prompts, new)))
        for language, told in self.told.items():
            scored = evaluate.story_nats(model, self.tokenizer, told)
            over = [n.sum() - s.token_nats.sum() for n, s in zip(scored, told, strict=True)]
            found[f"excess {language}"] = [round(float(bits(x)), 2) for x in over]
        return found

    def counts(self, asked, got) -> dict:
        """Right answers of each story, of those that it says and of those that it does not."""
        n = asked[-1].story + 1
        found = {"says": [0] * n, "says not": [0] * n, "refused": [0] * n, "by fact": {}}
        for item, reply in zip(asked, got, strict=True):
            right = reply == item.wanted
            found["says" if item.answerable else "says not"][item.story] += right
            found["refused"][item.story] += item.answerable and reply == UNKNOWN["en"]
            tally = found["by fact"].setdefault(item.about, [0, 0])
            tally[0] += right
            tally[1] += 1
        return found


def got_first(model, tokenizer, asked):
    return align.answers(model, tokenizer, [i.prompt for i in asked])


def compared(model, tokenizer, seed: int):
    """Pairs of the model's own answers: one right, one wrong, to the same question."""
    asked = items(tokenizer, stories(3000 + seed, COMPARED))
    asked.sort(key=lambda i: len(i.prompt))
    end = chat.marks(tokenizer)["end"]
    chance = torch.Generator().manual_seed(seed)
    pairs = []
    for start in range(0, len(asked), 33):
        some = asked[start : start + 33]
        drawn = align.rollouts(
            model, [i.prompt for i in some], group=4, max_new=24, generator=chance, stop=[end]
        )
        for item, group in zip(some, drawn, strict=True):
            judged = [(chat.reply(tokenizer, new) == item.wanted, new) for new in group]
            right, wrong = ([new for r, new in judged if r is kind] for kind in (True, False))
            if right and wrong:
                marks = [False] * len(item.prompt)
                pairs.append(
                    tuple(
                        ([*item.prompt, *new], [*marks, *([True] * len(new))])
                        for new in (right[0], wrong[0])
                    )
                )
    return pairs


def say(history) -> None:
    print({k: round(v, 4) for k, v in history.records[-1].items()}, flush=True)


class Pipeline:
    def __init__(self, seed: int, runs: Path, save) -> None:
        self.seed, self.runs, self.save = seed, runs, save
        self.base, self.tokenizer = models.load("tales")
        self.judge = Judge(self.tokenizer, self.base)
        self.end = chat.marks(self.tokenizer)["end"]

    def out(self, stage: str) -> Path:
        return self.runs / f"{stage}-{self.seed}"

    def sft(self):
        model = copy.deepcopy(self.base)
        rows = talks(self.tokenizer, stories(1000 + self.seed, DEMONSTRATIONS), seed=self.seed)
        batches = align.AnswerBatches(rows, batch=8, seed=self.seed)
        history = train(model, batches, SFT, out=self.out("sft"), on_log=say)
        self.save("sft curve", history.series("loss"))
        return model.eval()

    def replay(self):
        """The same demonstrations in the same number of steps, with stories beside them."""
        model = copy.deepcopy(self.base)
        rows = talks(self.tokenizer, stories(1000 + self.seed, DEMONSTRATIONS), seed=self.seed)
        told = [
            self.tokenizer.encode_story(s)
            for language in tales.LANGUAGES
            for s in tales.generate(seed=4000 + self.seed, n=REPLAYED, language=language)
        ]
        new = align.AnswerBatches(rows, batch=8, seed=self.seed)
        marked = [(ids, [True] * len(ids)) for ids in told]
        old = align.AnswerBatches(marked, batch=8, seed=self.seed)
        config = dataclasses.replace(SFT, accumulate=2)
        both = lambda i: (old if i % 2 else new)(i // 2)  # noqa: E731
        train(model, both, config, out=self.out("replay"), on_log=say)
        return model.eval()

    def dpo(self, sft):
        model = copy.deepcopy(sft)
        pairs = compared(sft, self.tokenizer, self.seed)
        self.save("pairs", len(pairs))
        config = align.DPOConfig(seed=self.seed, **DPO)
        history = align.dpo(model, pairs, config, reference=sft, out=self.out("dpo"), on_log=say)
        self.save("dpo curve", history.records)
        return model

    def asked(self):
        return items(self.tokenizer, stories(2000 + self.seed, PROMPTED))

    def grpo(self, sft):
        model, asked = copy.deepcopy(sft), self.asked()
        reward = align.exact_answer(self.tokenizer, [i.wanted for i in asked])
        history = align.grpo(
            model, [i.prompt for i in asked], reward, align.GRPOConfig(seed=self.seed, **GRPO),
            stop=[self.end], reference=sft, out=self.out("grpo"), on_log=say,
        )  # fmt: skip
        self.save("grpo curve", history.records)
        return model

    def hack(self, sft, name: str, kl: float):
        """Maximise exactness plus a bonus for each token; the true reward is only watched."""
        model, true = copy.deepcopy(sft), []
        asked = [i for i in self.asked() if i.answerable]
        exact = align.exact_answer(self.tokenizer, [i.wanted for i in asked])

        def proxy(number, new):
            true.append(exact(number, new))
            return true[-1] + BONUS * len(new)

        def watch(history):
            history.records[-1]["true"] = sum(true) / len(true)
            true.clear()
            say(history)

        config = align.GRPOConfig(seed=self.seed, kl=kl, estimate="k2", **HACK)
        history = align.grpo(
            model, [i.prompt for i in asked], proxy, config, stop=[self.end], reference=sft,
            on_log=watch,
        )  # fmt: skip
        found = self.items_after(model)
        self.save(f"hack {name}", {"kl weight": kl, "curve": history.records, "after": found})

    def items_after(self, model):
        asked = self.judge.items["test"][: 11 * 10]
        got = got_first(model, self.tokenizer, asked)
        samples = [
            {"question": i.question, "wanted": i.wanted, "got": g}
            for i, g in zip(asked[:11], got[:11], strict=True)
        ]
        return self.judge.counts(asked, got) | {"samples": samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "alignment")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(given.out.read_text()) if given.out.is_file() else {}
    for seed in given.seeds:
        here = found.setdefault(f"seed {seed}", {})

        def save(name, value, here=here):
            here[name] = value
            checkpoint.write_file(given.out, json.dumps(found, indent=None).encode() + b"\n")
            print("saved", name, flush=True)

        run = Pipeline(seed, given.runs, save)
        if "base" not in here:
            save("base", run.judge(run.base))
        sft = run.sft()
        if "sft" not in here:
            save("sft", run.judge(sft))
        grpo = run.grpo(sft)
        if "grpo" not in here:
            save("grpo", run.judge(grpo, sft))
        if "dpo" not in here:
            save("dpo", run.judge(run.dpo(sft), sft))
        if seed == 0:
            for name, kl in CURES.items():
                if f"hack {name}" not in here:
                    run.hack(sft, name, kl)
            replay = run.replay()
            if "replay" not in here:
                save("replay", run.judge(replay, sft))
            for name, model in (("sft", sft), ("chat", replay)):
                checkpoint.save(model, SHIPPED / f"tales-{name}", dtype="int8")


if __name__ == "__main__":
    main()
