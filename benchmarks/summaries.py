"""Summaries measured: the course's models learn to write them, on tales and on docstrings.

    python -m benchmarks.summaries           some twenty minutes of one core; goes on if killed

Tales: the shipped `tales` model learns one-sentence summaries in both languages, with two seeds in
full and once by LoRA; then it goes on where every second story is a race, once as before and once
quoting the sentence of the ending first. Each summary of the test is held against the facts of its
story. Docstrings: `gpt2-mini` learns the first line of docstrings of Python's library from the text
below it; modules of the test are not those of training. The recipe was chosen in sight of the test
stories, so the model that ships is scored once more, on stories of the test part from a seed that
nothing else uses (`fresh`). Writes `llmcourse/results/summaries.json`, and of seed 0
the model `tales-summary`; the chapter `applications/summarization` reads both.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import torch

from llmcourse import adapt, checkpoint, lora, tales
from llmcourse.adapt import Record
from llmcourse.align import AnswerBatches
from llmcourse.summarization import docstrings, sentences, verdict
from llmcourse.train import TrainConfig
from llmcourse.train import train as train_model

HERE = Path(__file__).parents[1] / "llmcourse"
OUT, SHIPPED = HERE / "results" / "summaries.json", HERE / "models" / "tales-summary"
SEEDS, STORIES, SCORED = (0, 1, 2), 3000, 200  # stories in each language
WAYS = {"full": 0, "LoRA 16": 16}  # ranks; 0 trains every weight
FRESH, UNSEEN = 7041, 400  # the seed of the last test, and its stories in each language
BATCH = 8
MENDED = dict(steps=2000, lr=3e-3, stories=30000)  # of the quoting one, half
RUNS = Path("runs") / "summaries"
TRAINING = dict(
    steps=700, lr=3e-3, optimizer="muon", weight_decay=0.0, precision="fp32", eval_every=50
)
REAL = dict(rank=16, lr=5e-3, steps=120, batch=8)


def turn(story: tales.Story) -> str:
    """The sentence of the story that tells the ending."""
    stages = [frame.stage for _, frame, _ in story.sentences]
    mark = "。" if story.language == "zh" else None
    rows = [s + mark for s in story.text.split(mark)] if mark else sentences(story.text)
    return rows[stages.index("outcome")]


def records(stories, quoting: bool = False) -> list[Record]:
    """Stories and their summaries; `quoting` puts the sentence of the ending before."""
    space = {"en": " ", "zh": ""}
    return [
        Record(
            prompt=s.text,
            answer=(turn(s) + space[s.language] if quoting else "") + tales.summary(s),
            line=i,
        )
        for i, s in enumerate(stories, 1)
    ]


def claim(text: str, language: str) -> str:
    """The last sentence of an answer."""
    rows = [s + "。" for s in text.split("。") if s] if language == "zh" else sentences(text)
    return rows[-1] if rows else ""


def told(split: str, seed: int, n: int) -> list[tales.Story]:
    """Stories in both languages, one after the other; no story in both."""
    return [
        story
        for k, language in enumerate(tales.LANGUAGES)
        for story in tales.generate(seed=2 * seed + k, n=n, language=language, split=split)
    ]


def reply(base, texts, longest):
    """The answers in the order asked, written in order of length."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    said = adapt.reply(base.model, base.template, [texts[i] for i in order], longest=longest)
    return [text for _, text in sorted(zip(order, said, strict=True))]


def judge(base, split: str, quoting: bool = False) -> dict:
    """Verdicts on the summaries of one split by language, and of English ones the texts."""
    n = SCORED if split == "test" else SCORED // 2
    stories = told(split, 40, n)
    said = reply(base, [s.text for s in stories], 64 if quoting else 32)
    found = {"said": said[:n]}
    for language in tales.LANGUAGES:
        found[language] = [
            verdict(s, claim(t, language) if quoting else t)
            for s, t in zip(stories, said, strict=True)
            if s.language == language
        ]
    return found


def learn(base, train, *, rank=0, seed=0, quoting=False, **settings) -> list[float]:
    """Train on the summaries of stories; the losses on dev stories on the way."""
    rows, looked = (
        base.template.rows(records(part, quoting), context=base.model.config.context)
        for part in (train, told("dev", 41, 40))
    )
    if rank:
        lora.add(base.model, lora.LoRAConfig(rank=rank, alpha=float(rank)), seed=seed)
    dev = AnswerBatches(looked, batch=40)
    history = train_model(
        base.model,
        AnswerBatches(rows, batch=BATCH, seed=seed),
        TrainConfig(**TRAINING | settings, seed=seed),
        [dev(0), dev(1)],
        on_log=lambda h: print(h.records[-1], flush=True),
    )
    base.model.eval()
    return history.series("dev_loss")[1]


def judged(base, losses: list[float], quoting: bool = False) -> dict:
    scores = {split: judge(base, split, quoting) for split in ("test", "held-out")}
    return {"dev": losses} | scores


def on_tales(way: str, seed: int) -> dict:
    base = adapt.open_base("tales")
    train = told("train", 500 + seed, STORIES)
    random.Random(seed).shuffle(train)
    losses = learn(base, train, rank=WAYS[way], seed=seed, **({"steps": 200} if WAYS[way] else {}))
    if way == "full":
        checkpoint.save(base.model, RUNS / f"full-{seed}", dtype="int8")
    return judged(base, losses)


def mended(seed: int, quoting: bool = False) -> dict:
    """The model of `full`, seed 0, goes on where every second story is a race.

    With `quoting` it writes the sentence that tells the ending first, then the summary.
    """
    base = adapt.open_base("tales")
    base.model.load_state_dict(checkpoint.load(RUNS / "full-0").state_dict())
    many = told("train", 600 + seed, MENDED["stories"])
    random.Random(seed).shuffle(many)  # both languages among the races and among the rest
    races = [s for s in many if s.facts["plot"] == "race"]
    train = races + [s for s in many if s.facts["plot"] != "race"][: len(races)]
    random.Random(seed).shuffle(train)
    losses = learn(
        base,
        train,
        seed=seed,
        steps=MENDED["steps"] // (1 + quoting),
        lr=MENDED["lr"],
        quoting=quoting,
    )
    if not seed and not quoting:
        checkpoint.save(base.model, SHIPPED, dtype="int8")
    return judged(base, losses, quoting)


def fresh() -> dict:
    """The shipped model, once, on test stories that no choice of the recipe has seen."""
    seen = {s.text for s in told("test", 40, SCORED)}
    stories = [s for s in told("test", FRESH, UNSEEN) if s.text not in seen]
    said = reply(adapt.open_base("tales-summary"), [s.text for s in stories], 32)
    found: dict = {language: [] for language in tales.LANGUAGES}
    failures = []
    for story, text in zip(stories, said, strict=True):
        found[story.language].append(verdict(story, text))
        if found[story.language][-1] != "faithful":
            failures.append([story.facts["plot"], tales.summary(story), text])
    return {"seed": FRESH, "test": found, "failures": failures[:24]}


def documented():
    """Docstrings to learn from and to be tested on, of different modules."""
    found = docstrings()
    modules = sorted({d.module for d in found})
    random.Random(0).shuffle(modules)
    cut, test = [], []
    for module in modules:
        own = [d for d in found if d.module == module]
        (test if len(test) < SCORED else cut).extend(own)
    return cut, test


def on_docstrings(seed: int) -> dict:
    base = adapt.open_base("gpt2-mini")
    tokenizer = base.tokenizer
    train, test = documented()

    def record(d, i):
        ids = tokenizer.encode(d.text)[:200]
        return Record(prompt=tokenizer.decode(ids), answer=d.summary, line=i)

    train, asked = ([record(d, i) for i, d in enumerate(part, 1)] for part in (train, test))
    parts = adapt.Parts(train=train, dev=train[:16], test=[])
    adapt.adapt(base, parts, adapt.AdaptConfig(**REAL, seed=seed))
    texts = [r.prompt for r in asked]
    shifted = [*texts[1:], texts[0]]  # the control: another function's text
    return {
        "names": [d.name for d in test],
        "said": reply(base, texts, 40),
        "of another": reply(base, shifted, 40),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    found = json.loads(out.read_text()) if out.is_file() else {}
    jobs = {
        "full | 0": (on_tales, "full", 0),
        "full | 1": (on_tales, "full", 1),
        "LoRA 16 | 0": (on_tales, "LoRA 16", 0),
        "mended | 0": (mended, 0),
        "quoted | 0": (mended, 0, True),
        "fresh": (fresh,),
        **{f"docstrings | {seed}": (on_docstrings, seed) for seed in SEEDS},
    }
    for name, (job, *given) in jobs.items():
        if name in found:
            continue
        found[name] = job(*given)
        if name not in ("full | 0", "mended | 0", "quoted | 0"):
            found[name].get("test", {}).pop("said", None)
        found[name].get("held-out", {}).pop("said", None)
        if "test" in found[name]:
            print({k: Counter(found[name]["test"][k]) for k in tales.LANGUAGES}, flush=True)
        print("saved", name, flush=True)
        text = json.dumps(found, ensure_ascii=False)
        checkpoint.write_file(out, text.encode() + b"\n")


if __name__ == "__main__":
    main()
