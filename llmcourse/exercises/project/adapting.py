"""Project of the part on practice: a model adapted to a task, and judged on what was held out."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from llmcourse import adapt, chat, models, sample
from llmcourse.adapt import Parts, examples
from llmcourse.align import AnswerBatches
from llmcourse.evaluate import wilson
from llmcourse.exercises.core import Exercise, Wrong, expect
from llmcourse.train import TrainConfig, train

ANSWER_BAR = 0.85  # share of held-out records with all four facts right


@functools.cache
def task() -> Parts:
    """1,500 whole tales, each with its hero, friend, thing and place; always the same, split."""
    with tempfile.TemporaryDirectory() as folder:
        path = examples.write(Path(folder) / "cards.jsonl", examples.cards(1500, seed=7))
        return adapt.split(adapt.read(path), seed=0)


def adapt_model_stub(train_records, dev_records):
    """Returns reply(prompts): for a list of prompts the list of answers, both of strings."""
    raise NotImplementedError


def adapt_model(train_records, dev_records):
    model, tokenizer = models.load("tales")
    end = tokenizer.special_tokens["<|end|>"]

    def row(record):
        turns = [("user", record.prompt), ("assistant", record.answer)]
        return chat.encode(tokenizer, turns)  # ids, and marks of what is learned

    batches = AnswerBatches([row(r) for r in train_records], batch=8, seed=0)
    config = TrainConfig(steps=150, lr=1e-3, weight_decay=0.0, precision="fp32")
    train(model, batches, config)  # all parameters
    model.eval()

    def reply(prompts):
        rows = [chat.prompt(tokenizer, [("user", p)]) for p in prompts]
        new = sample.generate_many(model, rows, max_new=16, temperature=0, stop=[end])
        return [chat.reply(tokenizer, ids) or "" for ids in new]

    return reply


def check_adapt_model(answer):
    given = task()
    reply = answer(list(given.train), list(given.dev))
    expect(callable(reply), "return the function `reply`", got=type(reply).__name__)
    _check_form(reply, [r.prompt for r in given.dev[:3]])
    kept, fresh = _share(reply, given.train[:40]), _share(reply, given.dev[:40])
    expect(
        not (kept > 0.9 and fresh == 0),
        "it answers what it was trained on, and nothing else: a table of the training records is "
        "no model",
    )
    _judge(reply, given)


def _check_form(reply: Callable, prompts: Sequence[str]) -> None:
    got = reply(list(prompts))
    expect(
        isinstance(got, list) and len(got) == len(prompts) and all(isinstance(a, str) for a in got),
        "reply should return a list of strings, one for each prompt", got=got,
    )  # fmt: skip
    expect(
        reply(list(prompts[:1])) == got[:1] and reply(list(prompts[::-1])) == got[::-1],
        "the same prompt gets another answer in other company, or when asked again: answer each "
        "alone and greedily",
    )
    marked = next((a for a in got if "<|" in a or "\ufffd" in a), None)
    expect(marked is None, "an answer holds a special token: cut it at the end", got=marked)
    broken = prompts[0].split(". ")[0] + ". The rest is lost."
    try:
        reply([broken])
    except Exception as error:
        expect(
            False,
            "a story that the grammar does not tell made `reply` fail: let the model read, do not "
            f"ask the grammar ({type(error).__name__})",
        )


def _facts(answer: str) -> list[str]:
    return answer.strip().rstrip(".").split(", ")


def _share(reply: Callable, records: Sequence) -> float:
    got = reply([r.prompt for r in records])
    return sum(a.strip() == r.answer for a, r in zip(got, records, strict=True)) / len(records)


def _judge(reply: Callable, given: Parts) -> None:
    got = [a.strip() for a in reply([r.prompt for r in given.test])]
    right = sum(a == r.answer for a, r in zip(got, given.test, strict=True))
    score = wilson(right, len(got))
    said = f"{score.estimate:.1%} of {len(got)} held-out records exactly right, 95 % "
    said += f"{score.low:.1%} to {score.high:.1%}"
    near = sum(_facts(a)[:3] == _facts(r.answer)[:3] for a, r in zip(got, given.test, strict=True))
    asked = sum(r.prompt in a for a, r in zip(got, given.test, strict=True))
    if score.low <= ANSWER_BAR:
        expect(not asked, f"{said}: the answer repeats the prompt; give what comes after it")
        ends = sum(a + "." == r.answer for a, r in zip(got, given.test, strict=True))
        expect(ends < len(got) / 2, f"{said}: the full stop of the answer is missing")
        expect(
            near < len(got) / 2,
            f"{said}: hero, friend and thing are right in {near / len(got):.0%}, so it is the "
            "place that is guessed; another way to adapt finds it",
        )
        swapped = [[*_facts(r.answer)[1::-1], *_facts(r.answer)[2:]] for r in given.test]
        turned = sum(_facts(a) == s for a, s in zip(got, swapped, strict=True))
        expect(turned < len(got) / 2, f"{said}: hero and friend are exchanged")
        if len(set(got)) <= 3:
            expect(False, f"{said}: nearly every prompt gets one and the same answer")
        shaped = sum(len(_facts(a)) == 4 for a in got)
        expect(
            shaped > len(got) / 2,
            f"{said}: few answers have four parts: the model was not trained on the answers, or is "
            "asked in another form than in training",
        )
    expect(score.low > ANSWER_BAR, f"{said}: the interval is not above the bar of {ANSWER_BAR:.0%}")
    print(f"{said}; the bar is {ANSWER_BAR:.0%}")


def _first_names(prompt):
    """The first two names, the thing by a list, and one and the same place: no model at all."""
    words = prompt.replace(",", " ").replace(".", " ").replace("’s", "").split()
    things = {r.answer.rstrip(".").split(", ")[2] for r in task().train}
    people = {n for r in task().train for n in r.answer.split(", ")[:2]}
    names = list(dict.fromkeys(w for w in words if w in people))
    thing = next((w for w in words if w in things), "")
    hero, friend = [*names, "", ""][:2]
    return [hero, friend, thing, "lighthouse"]


def _untrained(train_records, dev_records):
    model, tokenizer = models.load("tales")

    def reply(prompts):
        rows = [chat.prompt(tokenizer, [("user", p)]) for p in prompts]
        new = sample.generate_many(model, rows, max_new=12, temperature=0)
        return [tokenizer.decode([i for i in ids if i > 263]) for ids in new]

    return reply


def _looks_up(train_records, dev_records):
    table = {r.prompt: r.answer for r in train_records}
    return lambda prompts: [table.get(p, "") for p in prompts]


def _one_answer(train_records, dev_records):
    return lambda prompts: [train_records[0].answer for _ in prompts]


def _guesses_the_place(train_records, dev_records):
    return lambda prompts: [", ".join(_first_names(p)) + "." for p in prompts]


def _asks_the_grammar(train_records, dev_records):
    from llmcourse import tales

    def reply(prompts):
        facts = [tales.parse(p, "en").facts for p in prompts]
        return [", ".join(f[k] for k in "ABOQ") + "." for f in facts]

    return reply


def _draws(train_records, dev_records):
    chance = torch.Generator().manual_seed(0)
    answers = [r.answer for r in train_records]

    def reply(prompts):
        drawn = torch.randint(len(answers), (len(prompts),), generator=chance)
        return [answers[i] for i in drawn.tolist()]

    return reply


def _with_its_end(train_records, dev_records):
    return lambda prompts: [", ".join(_first_names(p)) + ".<|end|>" for p in prompts]


def _repeats(train_records, dev_records):
    return lambda prompts: [f"{p} {', '.join(_first_names(p))}." for p in prompts]


def _one_string(train_records, dev_records):
    return lambda prompts: train_records[0].answer


ADAPT = Exercise(
    id="project.adapt_model",
    title="Adapt a model to a task",
    stub=adapt_model_stub,
    solution=adapt_model,
    check=check_adapt_model,
    hints=(
        "Frame each record as a talk, learn the answers alone, answer greedily, and look at the "
        "dev loss: it falls in two stages. Three facts come first. What is it that the fourth "
        "needs, and does your way of adapting let it change?",
        "Rows by `chat.encode`, batches by `AnswerBatches`, the course's `train` at a rate of "
        "about 1e-3 on all parameters for some 150 steps of 8 records; then `chat.prompt`, "
        "`generate_many` with temperature 0, and `chat.reply`.",
        "model, tokenizer = models.load('tales'); batches = AnswerBatches([chat.encode(tokenizer, "
        "[('user', r.prompt), ('assistant', r.answer)]) for r in train_records], batch=8); "
        "train(model, batches, TrainConfig(steps=150, lr=1e-3, weight_decay=0.0)); ask with "
        "sample.generate_many(model, rows, max_new=16, temperature=0, stop=[end]).",
    ),
    wrong=(
        Wrong(_untrained, "not trained on the answers"),
        Wrong(_looks_up, "a table of the training records"),
        Wrong(_one_answer, "one and the same answer"),
        Wrong(_guesses_the_place, "the place that is guessed"),
        Wrong(_asks_the_grammar, "do not ask the grammar"),
        Wrong(_draws, "in other company"),
        Wrong(_with_its_end, "special token"),
        Wrong(_repeats, "repeats the prompt"),
        Wrong(_one_string, "list of strings"),
    ),
    seconds=900.0,
    scored=True,
)
