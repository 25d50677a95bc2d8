"""Questions on a corpus, measured: closed book, open book, and with retrieval.

    python -m benchmarks.qa                 about half an hour of one core; goes on if killed

The model `tales-chat` learns to answer from numbered passages, to cite the one it read, and to say
when none of them tells (`tales-qa`). An encoder from the first layers of `tales` learns by contrast
to bring a question near its story (`tales-retriever`). A third learns to answer with the book
closed. All are judged on stories of the test part, where each question has one known answer. On
Python's documentation the truth is known by construction: a sentence is asked for the passage it
was taken from. Writes `llmcourse/results/qa.json`.
"""

import argparse
import copy
import dataclasses
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from llmcourse import align, chat, checkpoint, data, models, qa, retrieval, tales
from llmcourse.gpt import GPT
from llmcourse.train import TrainConfig, train

HERE = Path(__file__).parents[1] / "llmcourse"
OUT, SHIPPED = HERE / "results" / "qa.json", HERE / "models"
CONTEXT = 448  # three stories, the question and its answer
ROWS = 4800  # talks of up to six questions, for each phase
COMMON = dict(optimizer="muon", weight_decay=0.0, checkpoint_every=50, log_every=25)
# The first phase was planned for 1,200 steps, and stopped after 500: with up to three stories it
# learned slowly. The second shows one or two, and its end is the careful reader: a third of its
# questions had no answer in what was shown. In the third every answer is there, or never told.
# How many stories stand before the questions, and how often:
FIRST = TrainConfig(steps=1200, lr=2e-3, **COMMON)
STOPPED = 500
SECOND = TrainConfig(steps=300, lr=1.5e-3, warmup=10, **COMMON)
THIRD = TrainConfig(steps=600, lr=2e-3, warmup=20, **COMMON)
PASSAGES = (
    {0: 0.05, 1: 0.35, 2: 0.40, 3: 0.20},
    {0: 0.02, 1: 0.68, 2: 0.30},
    {0: 0.02, 1: 0.68, 2: 0.30},
)
CLOSED = TrainConfig(steps=60, lr=2e-3, **COMMON)
ENCODER = dict(steps=500, lr=1e-3)
POOL = 1200  # stories the encoder learns from, and as many with hero and other exchanged
DOCS = dict(steps=200, lr=1e-3)
SEARCHED = 200  # stories of the test part that are searched, seven questions each
CORPUS = 50  # stories of the test part that the reader is asked about, eight questions each


def say(history) -> None:
    print({k: round(v, 4) for k, v in history.records[-1].items()}, flush=True)


def longer(model: GPT, context: int) -> GPT:
    """The same weights reading further: rotary positions have no table to outgrow."""
    grown = GPT(dataclasses.replace(model.config, context=context), seed=0)
    grown.load_state_dict(model.state_dict())
    return grown


class Enough(Exception):
    """The first phase has gone far enough."""


def reader(seed: int, runs: Path) -> tuple[GPT, GPT]:
    """The reader, and the one that was taught to find out that nothing shown has the answer."""
    base, tokenizer = models.load("tales-chat")
    model = longer(base, CONTEXT)

    def taught(phase: int, **how) -> align.AnswerBatches:
        rows = qa.demonstrations(
            tokenizer, seed=9000 + 50 * phase + seed, n=ROWS, passages=PASSAGES[phase],
            context=CONTEXT, **how,
        )  # fmt: skip
        return align.AnswerBatches(rows, batch=8, seed=seed)

    def stop(history):
        say(history)
        if history.records[-1]["step"] > STOPPED:
            raise Enough

    half = runs / f"first-{seed}" / f"step-{STOPPED:06d}"
    if not half.is_dir():
        try:
            train(model, taught(0), FIRST, out=half.parent, on_log=stop)
        except Enough:
            pass
    checkpoint.load_into(model, half)
    train(model, taught(1, missing=0.3), SECOND, out=runs / f"second-{seed}", on_log=say)
    careful = copy.deepcopy(model)
    train(model, taught(2, missing=0.0), THIRD, out=runs / f"third-{seed}", on_log=say)
    return model.eval(), careful.eval()


def closed(seed: int, runs: Path) -> GPT:
    """Questions and answers of training stories, and no story beside them."""
    model, tokenizer = models.load("tales-chat")
    asked = qa.questions(tales.generate(seed=9100 + seed, n=500))
    random.Random(seed).shuffle(asked)
    rows = []
    for start in range(0, len(asked) - 5, 6):
        turns = [
            turn
            for a in asked[start : start + 6]
            for turn in (("user", a.question), ("assistant", a.wanted))
        ]
        ids, marks = chat.encode(tokenizer, turns, language="en")
        if len(ids) <= model.config.context:
            rows.append((ids, marks))
    batches = align.AnswerBatches(rows, batch=8, seed=seed)
    train(model, batches, CLOSED, out=runs / f"closed-{seed}", on_log=say)
    return model.eval()


def pairs(tokenizer, seed: int, batch: int = 32) -> retrieval.Pairs:
    """Questions and stories in either language; half of the stories meet their mirror image."""
    told = tales.generate(seed=9200 + seed, n=POOL)
    images = qa.mirrored(told, seed=seed)

    def row(story, rng):
        story = story.translate(rng.choice(tales.LANGUAGES))
        return tokenizer.encode_tokens(story.tokens)

    def question(story, rng, alone):
        # Beside a mirror image, who the story is about would have two answers.
        facts = [f for f in qa.FACTS if alone or f != "A"]
        story = story.translate(rng.choice(tales.LANGUAGES))
        return tokenizer.encode(qa.questions([story], [rng.choice(facts)])[0].question)

    def step(number: int):
        rng = random.Random(f"pairs {seed} {number}")
        chosen = rng.sample(range(POOL), batch)
        some = [told[i] for i in chosen] + [images[i] for i in chosen[: batch // 2]]
        alone = [batch // 2 <= i < batch for i in range(len(some))]
        asked = [question(s, rng, a) for s, a in zip(some, alone, strict=True)]
        return asked, [row(s, rng) for s in some]

    return step


def encoder(seed: int, out: Path) -> GPT:
    base, tokenizer = models.load("tales")
    if (out / "model.safetensors").is_file():
        return checkpoint.load(out)
    model = retrieval.first_layers(base, 2)
    step = pairs(tokenizer, seed)
    losses = []

    def watch(number, loss):
        losses.append(loss)
        if number % 25 == 0:
            print("encoder", number, round(np.mean(losses[-25:]), 3), flush=True)

    retrieval.contrast(model, step, on_step=watch, **ENCODER)
    checkpoint.save(model, out, dtype="int8", extra={"steps": ENCODER["steps"], "seed": seed})
    return checkpoint.load(out)


class Search:
    """Three ways to find documents, by one face: texts of questions in, lists of numbers out."""

    def __init__(self, texts: Sequence[str], tokenizer, raw: GPT, trained: GPT) -> None:
        self.tokenizer, self.models = tokenizer, {"raw": raw, "dense": trained}
        self.words = retrieval.BM25(texts)
        self.dense = {
            name: retrieval.Dense(retrieval.embed(model, [tokenizer.encode(t) for t in texts]))
            for name, model in self.models.items()
        }

    def __call__(self, how: str, asked: Sequence[str], k: int = 10) -> list[list[int]]:
        if how == "bm25":
            return [self.words.search(q, k) for q in asked]
        if how == "hybrid":
            lists = zip(self("bm25", asked, 50), self("dense", asked, 50), strict=True)
            return [retrieval.fuse(both, k=k) for both in lists]
        rows = [self.tokenizer.encode(q) for q in asked]
        vectors = retrieval.embed(self.models[how], rows)
        return [self.dense[how].search(v, k) for v in vectors]

    def nearest(self, asked: Sequence[str]) -> dict[str, list[float]]:
        """The best score of each question, by words and by cosine: how sure a search can be."""
        rows = retrieval.embed(self.models["dense"], [self.tokenizer.encode(q) for q in asked])
        cosines = (rows @ self.dense["dense"].vectors.T).max(1)
        return {
            "bm25": [round(float(self.words.scores(q).max()), 4) for q in asked],
            "cosine": [round(float(c), 4) for c in cosines],
        }


def invented(stories: Sequence[tales.Story], asked: Sequence[qa.Asked], seed: int = 0):
    """Texts and questions with every person renamed by a name that no story ever had."""
    rng = random.Random(f"invented {seed}")
    names = {}
    for story in stories:
        for who in "AB":
            name = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(3))
            names.setdefault(story.facts[who], name.capitalize() + rng.choice("nrsx"))
    one = re.compile(r"\b(" + "|".join(names) + r")\b")
    rename = lambda text: one.sub(lambda m: names[m[1]], text)  # noqa: E731
    return [rename(s.text) for s in stories], [rename(a.question) for a in asked]


def hits(rankings, gold, stories: int) -> dict[str, list[int]]:
    """For k of 1, 3 and 10: how many of each story's questions found it."""
    found = {}
    for k in (1, 2, 3, 10):
        per = [0] * stories
        for right, g in zip(retrieval.recall(rankings, gold, k), gold, strict=True):
            per[g] += right
        found[str(k)] = per
    return found


def searched(tokenizer, raw: GPT, trained: GPT, seed: int = 500) -> dict:
    """Recall of each way to search in four settings, by story."""
    stories = qa.corpus(seed=seed, n=SEARCHED)
    asked = [a for a in qa.questions(stories) if a.about != "A"]
    texts, questions = [s.text for s in stories], [a.question for a in asked]
    gold = [a.story for a in asked]
    chinese = [s.translate("zh") for s in stories]
    asked_zh = [a.question for a in qa.questions(chinese) if a.about != "A"]
    settings = {
        "plain": (texts, questions),
        "mirrored": (texts + [s.text for s in qa.mirrored(stories, seed=seed)], questions),
        "other language": (texts, asked_zh),
        "new names": invented(stories, asked),
    }
    found = {"per story": len(asked) // len(stories)}
    for name, (documents, queries) in settings.items():
        search = Search(documents, tokenizer, raw, trained)
        found[name] = {
            how: hits(search(how, queries), gold, len(stories))
            for how in ("bm25", "raw", "dense", "hybrid")
        }
        print(name, {h: round(np.mean(v["1"]) / 7, 3) for h, v in found[name].items()}, flush=True)
    return found


class Judge:
    """Asks a reader and counts what its replies are."""

    def __init__(self, tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(
        self, model: GPT, asked: Sequence[qa.Asked], shown: Sequence[Sequence[int]],
        texts: Sequence[str], keep: int = 12,
    ) -> dict:  # fmt: skip
        context = model.config.context
        prompts = [
            qa.prompt(self.tokenizer, a.question, [texts[i] for i in some], context=context)
            for a, some in zip(asked, shown, strict=True)
        ]
        replies = align.answers(model, self.tokenizer, prompts, max_new=28)
        kinds = [qa.judge(r, a, s) for r, a, s in zip(replies, asked, shown, strict=True)]
        facts: dict[str, dict[str, int]] = {}
        for a, kind in zip(asked, kinds, strict=True):
            tally = facts.setdefault(a.about, dict.fromkeys(qa.OUTCOMES, 0))
            tally[kind] += 1
        failures = [
            {
                "about": a.about, "question": a.question, "wanted": a.wanted, "got": r, "kind": k,
                "shown": [texts[i] for i in s], "gold shown": a.story in s,
            }
            for a, r, k, s in zip(asked, replies, kinds, shown, strict=True)
            if k != "right"
        ]  # fmt: skip
        return {
            "kinds": [qa.OUTCOMES.index(k) for k in kinds],
            "gold shown": [int(a.story in s) for a, s in zip(asked, shown, strict=True)],
            "by fact": facts,
            "failures": failures[:keep],
        }


def judged(tokenizer, readers: dict[str, GPT], search, save, have) -> None:
    """Every condition in turn; those that `have` holds are not run again."""
    judge = Judge(tokenizer)
    stories = qa.corpus(seed=600, n=CORPUS)
    both = [*stories, *qa.mirrored(stories, seed=600)]
    texts, mirror_texts = [s.text for s in stories], [s.text for s in both]
    plain = qa.questions(stories)
    roles = [a for a in plain if a.about != "A"]
    nowhere = qa.nowhere(stories, seed=0, n=200)
    never = qa.questions(stories[:40], list(qa.NEVER))
    held_out = qa.corpus(seed=601, n=CORPUS, split="held-out")
    reader, careful, chat_model = (readers[n] for n in ("reader", "careful", "chat"))
    names = lambda asked: [a.question for a in asked]  # noqa: E731
    gold = lambda asked: [[a.story] for a in asked]  # noqa: E731
    find, find_mirror = search(texts), search(mirror_texts)
    # never: the story is shown, and does not say it
    its_story = [[i // len(qa.NEVER)] for i in range(len(never))]
    wrong_story = [[(a.story + 1) % CORPUS] for a in plain]
    if "gate" not in have:
        dev = qa.corpus(seed=77, n=CORPUS, split="dev")
        find_dev = search([s.text for s in dev])
        save("gate", {
            "dev": find_dev.nearest(names(qa.questions(dev))),
            "dev nowhere": find_dev.nearest(names(qa.nowhere(dev, seed=0, n=200))),
            "test": find.nearest(names(plain)),
            "test nowhere": find.nearest(names(nowhere)),
        })  # fmt: skip
    runs = {
        "open": lambda: judge(reader, plain, gold(plain), texts),
        "bm25 1": lambda: judge(reader, plain, find("bm25", names(plain), 1), texts),
        "fused 1": lambda: judge(reader, plain, find("hybrid", names(plain), 1), texts),
        "nowhere": lambda: judge(reader, nowhere, find("hybrid", names(nowhere), 1), texts),
        "closed": lambda: judge(readers["closed"], plain, [[] for _ in plain], texts),
        "mirrored bm25 1": lambda: judge(
            reader, roles, find_mirror("bm25", names(roles), 1), mirror_texts
        ),
        "mirrored hybrid 1": lambda: judge(
            reader, roles, find_mirror("hybrid", names(roles), 1), mirror_texts
        ),
        "never": lambda: judge(reader, never, its_story, texts),
        "careful open": lambda: judge(careful, plain[:200], gold(plain[:200]), texts),
        "careful nowhere": lambda: judge(
            careful, nowhere, find("hybrid", names(nowhere), 1), texts
        ),
        "chat wrong story": lambda: judge(chat_model, plain[:160], wrong_story[:160], texts),
        "no story": lambda: judge(reader, plain[:200], [[] for _ in plain[:200]], texts),
        "mirrored bm25 2": lambda: judge(
            reader, roles, find_mirror("bm25", names(roles), 2), mirror_texts
        ),
        "open held-out": lambda: judge(
            reader, a := qa.questions(held_out), gold(a), [s.text for s in held_out]
        ),
    }
    for name, run in runs.items():
        if name not in have:
            found = run()
            save(name, found)
            print(name, np.bincount(found["kinds"], minlength=4) / len(found["kinds"]), flush=True)


def documentation(seeds: Sequence[int]) -> dict:
    """Recall on Python's documentation: words, a GPT's raw states, and an encoder trained on it.

    The encoder learns on two thirds of the topics and is judged, like all, on the others; every
    passage of all topics is in the index.
    """
    topics = [retrieval.passages(text) for text in data.load("python-docs").documents]
    order = list(range(len(topics)))
    random.Random(0).shuffle(order)
    learned = set(order[: 2 * len(order) // 3])
    texts = [p for t in topics for p in t]
    fresh = [number not in learned for number, t in enumerate(topics) for _ in t]
    base, tokenizer = models.load("gpt2-mini")
    found: dict = {"passages": len(texts), "sha256": data.load("python-docs").sha256}
    trained = []
    own = [p for p, new in zip(texts, fresh, strict=True) if not new]
    row = lambda text: tokenizer.encode(text)[: base.config.context]  # noqa: E731
    for seed in seeds:
        model = retrieval.first_layers(base, 2)

        def step(number, seed=seed):
            made = retrieval.cloze(own, seed=1000 * seed + number, keep=0.5)
            some = random.Random(f"{seed} {number}").sample(range(len(made.queries)), 32)
            return (
                [row(made.queries[i]) for i in some],
                [row(made.documents[made.gold[i]]) for i in some],
            )

        trained.append(retrieval.contrast(model, step, **DOCS))
        print("documentation, encoder", seed, flush=True)
    for keep in (1.0, 0.5):
        made = retrieval.cloze(texts, seed=0, keep=keep)
        asked = [(q, g) for q, g in zip(made.queries, made.gold, strict=True) if fresh[g]]
        queries, gold = [q for q, _ in asked], [g for _, g in asked]
        words = retrieval.BM25(made.documents)
        lists = {"bm25": [words.search(q, 50) for q in queries]}
        for name, model in [("raw", base), *((f"dense {s}", m) for s, m in enumerate(trained))]:
            index = retrieval.Dense(retrieval.embed(model, [row(d) for d in made.documents]))
            vectors = retrieval.embed(model, [row(q) for q in queries])
            lists[name] = [index.search(v, 50) for v in vectors]
        lists["hybrid"] = [
            retrieval.fuse(two, k=50) for two in zip(lists["bm25"], lists["dense 0"], strict=True)
        ]
        here = found[f"keep {keep}"] = {"n": len(queries)}
        for name, ranking in lists.items():
            here[name] = {
                str(k): [int(r) for r in retrieval.recall(ranking, gold, k)] for k in (1, 3, 10)
            }
            print(keep, name, {k: round(np.mean(v), 3) for k, v in here[name].items()}, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "qa")
    parser.add_argument("--only", choices=("documentation", "encoder"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(given.out.read_text()) if given.out.is_file() else {}

    def save(name, value):
        found[name] = value
        checkpoint.write_file(given.out, json.dumps(found).encode() + b"\n")
        print("saved", name, flush=True)

    base, tokenizer = models.load("tales")
    if given.only != "documentation":
        retriever = encoder(0, SHIPPED / "tales-retriever")
        if "search" not in found:
            save("search", searched(tokenizer, base, retriever))
    if "documentation" not in found and given.only != "encoder":
        save("documentation", documentation((0, 1, 2)))
    if given.only:
        return
    model, careful = reader(0, given.runs)
    checkpoint.save(
        model,
        SHIPPED / "tales-qa",
        dtype="int8",
        extra={"steps": STOPPED + SECOND.steps + THIRD.steps},
    )
    readers = {
        "reader": checkpoint.load(SHIPPED / "tales-qa"),
        "careful": careful,
        "closed": closed(0, given.runs),
        "chat": longer(models.load("tales-chat")[0], CONTEXT).eval(),
    }
    search = lambda texts: Search(texts, tokenizer, base, retriever)  # noqa: E731
    answers = found.setdefault("answers", {})

    def keep(name, value):
        answers[name] = value
        save("answers", answers)

    judged(tokenizer, readers, search, keep, answers)


if __name__ == "__main__":
    main()
