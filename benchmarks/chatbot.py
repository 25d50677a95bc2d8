"""An assistant taught and measured: tools, memory, refusals, and a tool that lies.

    python -m benchmarks.chatbot             about twenty minutes of one core; goes on if killed

The model `tales-chat` learns from talks whose truth is known (`llmcourse.assistant`) to read a
story, to remember what it is told, to call a calculator and a search, to mend a call that failed,
and to say what it cannot know (`tales-assistant`). Judged on sums, words and stories of the test
part, each kind of question in wordings that it learned and in one that it never saw. On Python's
documentation the truth is known by construction: words of a passage must find that passage. Writes
`llmcourse/results/chatbot.json`.
"""

import argparse
import copy
import dataclasses
import json
import random
from pathlib import Path

import torch

from llmcourse import (
    align,
    assistant,
    chat,
    checkpoint,
    dialogue,
    evaluate,
    models,
    retrieval,
    tales,
    toolbox,
)
from llmcourse.calculator import calculate
from llmcourse.gpt import GPT
from llmcourse.metrics import bits
from llmcourse.train import TrainConfig, train

HERE = Path(__file__).parents[1] / "llmcourse"
OUT, SHIPPED = HERE / "results" / "chatbot.json", HERE / "models" / "tales-assistant"
CONTEXT = 320
ROWS = 12_000
TRAIN = TrainConfig(
    steps=2500, lr=2e-3, warmup=30, optimizer="muon", weight_decay=0.0, checkpoint_every=100,
    log_every=25,
)  # fmt: skip
SECOND = dataclasses.replace(TRAIN, steps=250, lr=1e-3, warmup=10)
REMEMBER = {"remember": 0.35}
SUMS = ("+", "-", "*", "/", "()")
MAX_NEW = 48


def longer(model: GPT, context: int) -> GPT:
    """The same weights reading further: rotary positions have no table to outgrow."""
    grown = GPT(dataclasses.replace(model.config, context=context), seed=0)
    grown.load_state_dict(model.state_dict())
    return grown


def say(history) -> None:
    print({k: round(v, 4) for k, v in history.records[-1].items()}, flush=True)


def taught(seed: int, runs: Path) -> tuple[GPT, GPT]:
    """`tales-chat` after talks of every skill; and after more, in which things told are asked for.

    The first knew that a name was told and not which: in its talks most such questions came first.
    """
    base, tokenizer = models.load("tales-chat")
    model = longer(base, CONTEXT)
    phases = []
    for number, (config, n, how) in enumerate(((TRAIN, ROWS, {}), (SECOND, 2400, REMEMBER))):
        out = runs / f"{('taught', 'mended')[number]}-{seed}"
        if (out / f"step-{config.steps:06d}").is_dir():
            model = checkpoint.load(out / f"step-{config.steps:06d}")
        else:
            rows = assistant.demonstrations(
                tokenizer, seed=seed + 100 * number, n=n, context=CONTEXT, **how
            )
            batches = align.AnswerBatches(rows, batch=8, seed=seed)
            train(model, batches, dataclasses.replace(config, seed=seed), out=out, on_log=say)
        phases.append(copy.deepcopy(model).eval())
    return phases[0], phases[1]


def asked(skill: str, n: int, *, seed: int = 0, **how) -> list[assistant.Probe]:
    """`n` probes of a skill in each language."""
    return [
        assistant.probe(10_000 * seed + i, skill, language=language, **how)
        for language in tales.LANGUAGES
        for i in range(n)
    ]


class Judge:
    """Runs probes with the model and its tools, and counts."""

    def __init__(self, model: GPT, tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer

    def answers(self, probes, tools=None, **how) -> list[assistant.Answer]:
        tools = [assistant.true_tools(p) for p in probes] if tools is None else tools
        return assistant.converse(self.model, self.tokenizer, probes, tools, max_new=MAX_NEW, **how)

    def __call__(self, probes, tools=None, keep: int = 6, **how) -> dict:
        """For each probe: is the last word right, the tool, the call, and did it refuse?"""
        got = self.answers(probes, tools, **how)
        pairs = list(zip(probes, got, strict=True))
        failures = [
            {
                "language": p.language, "question": p.asked.turns[0][1], "about": p.asked.about,
                "wanted": p.asked.wanted, "call wanted": p.asked.call, "calls": list(a.calls),
                "results": [r.text for r in a.results], "got": a.reply,
            }
            for p, a in pairs
            if a.reply != p.asked.wanted
        ]  # fmt: skip
        tool = [p.asked.call.partition(" ")[0] if p.asked.call else None for p in probes]
        return {
            "languages": "".join(p.language[0] for p in probes),
            "right": _bits(a.reply == p.asked.wanted for p, a in pairs),
            "tool": _bits(a.tool == t for (_, a), t in zip(pairs, tool, strict=True)),
            "call": _bits((a.calls[-1] if a.calls else None) == p.asked.call for p, a in pairs),
            "refused": _bits(a.reply in assistant.UNKNOWABLE.values() for _, a in pairs),
            "chosen": [a.tool or "none" for a in got] if skill_mixed(probes) else [],
            "failures": failures[:keep],
        }


def _bits(values) -> str:
    return "".join("01"[bool(v)] for v in values)


def skill_mixed(probes) -> bool:
    return len({p.asked.skill for p in probes}) > 1


def skills(judge: Judge) -> dict:
    """Each skill in known and in new wordings, with tools; sums without them, too."""
    found = {}
    for new in (False, True):
        name = "new" if new else "known"
        for about in SUMS:
            for tools in (True,) if new else (True, False):
                probes = asked("sum", 10, about=about, new=new, between=1, tools=tools)
                found[f"sum {about} | {name} | {'tools' if tools else 'head'}"] = judge(probes)
        found[f"docs | {name}"] = judge(asked("docs", 20, new=new, between=1))
        found[f"docs | {name} | no tools"] = judge(
            asked("docs", 10, new=new, between=1, tools=False)
        )
        found[f"unknowable | {name}"] = judge(asked("unknowable", 20, new=new, between=1))
        for about in ("name", "thing"):
            told = asked("recall", 15, about=about, new=new, first=("tell",), between=2)
            free = asked("recall", 15, about=about, new=new, between=2)
            found[f"recall {about} | {name} | told"] = judge(told)
            found[f"recall {about} | {name} | not told"] = judge(free)
        for key, value in found.items():
            if name in key:
                print(key, value["right"].count("1") / len(value["right"]), flush=True)
    found["small talk | known"] = judge(asked("small talk", 10, between=2))
    return found


def recalled(judge: Judge) -> dict:
    """What was told and what was not, in known wordings: the pairs that show over-refusal."""
    return {
        f"{about} | {'told' if first else 'not told'}": judge(
            asked("recall", 15, about=about, first=first, between=2)
        )
        for about in ("name", "thing")
        for first in ((), ("tell",))
    }


def stories(judge: Judge) -> dict:
    """Questions on a story: told, not told in it, and the same with no story in the talk."""
    found = {}
    facts = ("A", "T", "B", "H", "K", "Q", "O", "W")
    for between in (0,):
        probes = [
            p for f in facts for p in asked("ask", 6, about=f, first=("story",), between=between)
        ]
        found[f"told | {between}"] = judge(probes, keep=10)
        found[f"told | {between}"]["abouts"] = [p.asked.about for p in probes]
    untold = [
        p for f in ("age", "mother", "price") for p in asked("ask", 8, about=f, first=("story",))
    ]
    found["not told"] = judge(untold)
    found["no story"] = judge([p for f in facts for p in asked("ask", 4, about=f)])
    return found


def mended(judge: Judge) -> dict:
    """A call that failed is put into the model's mouth. What does it do next?"""
    found = {}
    kinds = {
        "sign": lambda e: ("calc " + e.replace("*", "x"), "error: x is no operator"),
        "name": lambda e: (f"count {e}", "error: no tool count"),
        "bracket": lambda e: ("calc " + e.replace(")", ""), "error: a ) is missing"),
        "new sign": lambda e: ("calc " + e.replace("*", ","), "error: , is no operator"),
        "new name": lambda e: (f"python {e}", "error: no tool python"),
    }
    for kind, fail in kinds.items():
        about = {"bracket": "()", "sign": "*", "new sign": "*"}.get(kind, "+")
        probes = []
        for p in asked("sum", 10, about=about, seed=1):
            call, error = fail(p.asked.call[5:])
            first = dataclasses.replace(p.asked, turns=(p.asked.turns[0], *p.asked.turns[1:]))
            before = (*p.before, p.asked.turns[0], (chat.CALL, call))
            # The tool's error is the turn to which the model must answer.
            probes.append(Planted(p.language, before, first, ("tool", error)))
        found[kind] = judge(probes)
    return found


@dataclasses.dataclass(frozen=True)
class Planted:
    """A probe that goes on after a call that failed."""

    language: str
    before: tuple
    asked: assistant.Exchange
    last: tuple

    @property
    def turns(self):
        return [*self.before, self.last]


def lies(judge: Judge) -> dict:
    """The calculator is off. Small sums that the model can do in its head, and larger ones."""
    found = {}
    rng = random.Random("lies")
    for name, longest in (("small", 1), ("large", 3)):
        pool = [
            p for p in asked("sum", 400, about="+", seed=2)
            if max(len(n) for n in p.asked.call[5:].split(" + ")) <= longest
        ][:40]  # fmt: skip
        bare = [
            dataclasses.replace(p, before=(("system", assistant.NO_TOOLS[p.language]),))
            for p in pool
        ]
        head = [a.reply == p.asked.wanted for p, a in zip(bare, judge.answers(bare), strict=True)]
        kinds = {"by one": lambda v: v + 1, "by far": lambda v: v + 100 + rng.randrange(800)}
        for kind, off in kinds.items():
            lied = [str(off(int(calculate(p.asked.call[5:])))) for p in pool]
            tools = [{"calc": lambda _, lie=lie: toolbox.Found(text=lie)} for lie in lied]
            got = judge.answers(pool, tools)
            ends = [("。" if p.language == "zh" else ".") for p in pool]
            copied = [a.reply == lie + e for a, lie, e in zip(got, lied, ends, strict=True)]
            true = [a.reply == p.asked.wanted for a, p in zip(got, pool, strict=True)]
            found[f"{name} | {kind}"] = {
                "head": _bits(head), "copied": _bits(copied), "true": _bits(true),
            }  # fmt: skip
            print("lies", name, kind, sum(head), sum(copied), sum(true), len(pool), flush=True)
    return found


def memory(judge: Judge) -> dict:
    """A name is told, then so many exchanges pass, and what no longer fits is left out."""
    found = {}
    for between in (0, 3, 6, 9, 12):
        probes = asked("recall", 10, about="name", first=("tell",), between=between, seed=3)
        cut, kept = [], []
        for p in probes:
            said = [dialogue.Said(role=role, text=text) for role, text in p.turns]
            _, *groups = dialogue.exchanges(said)
            sizes = [len(chat.encode(judge.tokenizer, [(s.role, s.text) for s in g])[0])
                     for g in groups]  # fmt: skip
            numbers = dialogue.fit(sizes, [False] * len(groups), CONTEXT - MAX_NEW - 2)
            turns = [(s.role, s.text) for n in numbers for s in groups[n]]
            cut.append(dataclasses.replace(p, before=tuple(turns[:-1])))
            kept.append(0 in numbers)
        got = judge(cut)
        found[str(between)] = got | {"kept": _bits(kept)}
        print("memory", between, sum(kept), got["right"].count("1"), got["refused"].count("1"),
              flush=True)  # fmt: skip
    return found


def copying(judge: Judge) -> dict:
    """How far the copy of what was typed holds: longer numbers and longer words than learned."""
    found = {}
    for digits in range(1, 8):
        rng = random.Random(f"digits {digits}")
        probes = []
        for language in tales.LANGUAGES:
            for _ in range(10):
                low, high = 10 ** (digits - 1), 10**digits - 1
                made = f"{rng.randint(low, high)} + {rng.randint(low, high)}"
                wording = "What is {}?" if language == "en" else "{}是多少？"
                value = calculate(made) + ("." if language == "en" else "。")
                turns = (("user", wording.format(made)), (chat.CALL, f"calc {made}"),
                         ("tool", calculate(made)), ("assistant", value))  # fmt: skip
                one = assistant.Exchange(skill="sum", about="+", turns=turns, learn=(False,) * 4)
                probes.append(assistant.Probe(language=language, before=(), asked=one))
        found[str(digits)] = judge(probes)
        print("digits", digits, found[str(digits)]["call"].count("1") / 20, flush=True)
    return found


def documentation(judge: Judge, words: int = 3, n: int = 240) -> dict:
    """Words of a passage, asked for through the assistant and put to the search directly."""
    tool = toolbox.Documentation()
    rng = random.Random("documentation")
    numbers = sorted(rng.sample(range(len(tool.passages)), min(n, len(tool.passages))))
    probes, tools = [], []
    found: dict = {"passages": len(tool.passages), "number": [], "direct": [], "agent": []}
    wording = {"en": "What does Python say about {}?", "zh": "Python怎么说{}？"}
    for number in numbers:
        # The rarest words of a passage, in their order: what someone who half remembers it types.
        held = list(dict.fromkeys(retrieval.words(tool.passages[number])))
        held = [w for w in held if 3 <= len(w) <= 12 and w.isascii()]
        rare = sorted(held, key=lambda w: len(tool.index.postings[w][0]))[: 3 * words]
        phrase = " ".join(w for w in held if w in rng.sample(rare, min(words, len(rare))))
        language = tales.LANGUAGES[len(probes) % 2]
        best = tool(phrase)
        see = f"请看{best.text}。" if language == "zh" else f"See {best.text}."
        turns = (("user", wording[language].format(phrase)), (chat.CALL, f"search {phrase}"),
                 ("tool", best.text), ("assistant", see))  # fmt: skip
        one = assistant.Exchange(skill="docs", about="real", turns=turns, learn=(False,) * 4)
        probes.append(assistant.Probe(language=language, before=(), asked=one))
        tools.append({"search": tool})
        found["number"].append(number)
        found["direct"].append(best.passage)
    got = judge.answers(probes, tools)
    found["agent"] = [a.results[-1].passage if a.results else None for a in got]
    found["right"] = _bits(
        a.reply in (f"See {tool.titles[i]}.", f"请看{tool.titles[i]}。")
        for a, i in zip(got, numbers, strict=True)
    )
    found["call"] = _bits(a.calls[:1] == (p.asked.call,) for p, a in zip(probes, got, strict=True))
    found["failures"] = [
        {"call wanted": p.asked.call, "calls": list(a.calls), "got": a.reply}
        for p, a in zip(probes, got, strict=True) if a.calls[:1] != (p.asked.call,)
    ][:8]  # fmt: skip
    hit = lambda key: sum(a == b for a, b in zip(found[key], numbers, strict=True)) / len(numbers)  # noqa: E731
    print("documentation", len(numbers), hit("direct"), hit("agent"), flush=True)
    return found


def heat(judge: Judge) -> dict:
    """The same probes at several temperatures."""
    probes = [
        *asked("sum", 10, about="+", seed=4), *asked("docs", 10, seed=4),
        *asked("recall", 10, about="name", first=("tell",), between=2, seed=4),
        *asked("unknowable", 10, seed=4),
    ]  # fmt: skip
    found = {}
    for temperature in (0.0, 0.7, 1.2):
        got = judge(probes, keep=0, temperature=temperature, seed=5)
        found[str(temperature)] = {k: got[k] for k in ("right", "tool", "call")}
        print("temperature", temperature, got["right"].count("1") / len(probes), flush=True)
    return found


def forgetting(tokenizer, named: dict[str, GPT], n: int = 30) -> dict:
    """Bits above the truth a story that each model needs, in both languages."""
    found: dict = {}
    for language in tales.LANGUAGES:
        told = tales.generate(seed=78, n=n, language=language, split="test")
        for name, model in named.items():
            nats = evaluate.story_nats(model, tokenizer, told)
            above = [bits(float(v.sum()) + s.logprob) for v, s in zip(nats, told, strict=True)]
            found.setdefault(name, {})[language] = [round(v, 3) for v in above]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "chatbot")
    given = parser.parse_args()
    torch.set_num_threads(1)
    before, after = taught(0, given.runs)
    extra = {"steps": TRAIN.steps + SECOND.steps, "seed": 0}
    checkpoint.save(after, SHIPPED, dtype="int8", extra=extra)
    model, tokenizer = models.load("tales-assistant")
    judge = Judge(model, tokenizer)
    parts = {
        "steps": lambda: {"first": TRAIN.steps, "second": SECOND.steps},
        "before": lambda: recalled(Judge(before, tokenizer)),
        "skills": lambda: skills(judge),
        "stories": lambda: stories(judge),
        "mended": lambda: mended(judge),
        "lies": lambda: lies(judge),
        "memory": lambda: memory(judge),
        "copying": lambda: copying(judge),
        "documentation": lambda: documentation(judge),
        "temperature": lambda: heat(judge),
        "forgetting": lambda: forgetting(
            tokenizer, {"assistant": model, "chat": models.load("tales-chat")[0]}
        ),
    }
    found = json.loads(given.out.read_text()) if given.out.is_file() else {}
    for name, part in parts.items():
        if name not in found:
            found[name] = part()
            text = json.dumps(found, ensure_ascii=False)
            checkpoint.write_file(given.out, text.encode() + b"\n")
            print("saved", name, flush=True)


if __name__ == "__main__":
    main()
