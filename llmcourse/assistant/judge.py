"""Questions put to an assistant after a talk, run with its tools, and what its answers are."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmcourse import align, chat
from llmcourse.assistant.exchanges import Exchange, State, exchange
from llmcourse.assistant.talks import opening
from llmcourse.tokenizers import Tokenizer
from llmcourse.toolbox import Found, Tool, calculator, run

__all__ = ["Answer", "Probe", "converse", "probe", "true_tools"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A talk as far as a question, and the exchange that would rightly follow."""

    language: str
    before: tuple[chat.Turn, ...]
    asked: Exchange

    @property
    def turns(self) -> list[chat.Turn]:
        """What the model is given."""
        return [*self.before, self.asked.turns[0]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model did with a probe: its calls, what they gave, and its last word."""

    calls: tuple[str, ...]
    results: tuple[Found, ...]
    reply: str | None  # None: it did not end, or called too often

    @property
    def tool(self) -> str | None:
        """The first tool that it chose."""
        return self.calls[0].partition(" ")[0] if self.calls else None


def probe(
    seed: int,
    skill: str,
    *,
    language: str = "en",
    first: Sequence[str] = (),
    between: int = 0,
    tools: bool = True,
    new: bool = False,
    **how,
) -> Probe:
    """A question of a skill, asked after exchanges of the skills `first` and `between` others.

    The others are sums, look-ups, small talk and what nobody can know; sums, stories and words are
    those of the test part. `new` and `how` are given to `exchange` for the question alone.
    """
    rng = random.Random(f"probe {seed} {skill} {language} {between}")
    state = State(language=language, tools=tools)
    before = opening(state)
    others = [rng.choice(("sum", "docs", "small talk", "unknowable")) for _ in range(between)]
    for name in (*first, *others):
        told = {"about": how["about"]} if name == "tell" and skill == "recall" else {}
        before += exchange(rng, state, name, test=True, **told).turns
    asked = exchange(rng, state, skill, new=new, test=True, **how)
    return Probe(language=language, before=tuple(before), asked=asked)


def true_tools(item: Probe) -> dict[str, Tool]:
    """The calculator, and a search that gives what the probe's exchange has it find."""
    found = [text for role, text in item.asked.turns if role == "tool"]
    return {"calc": calculator, "search": lambda _: Found(text=found[-1] if found else "nothing")}


def converse(
    model,
    tokenizer: Tokenizer,
    probes: Sequence[Probe],
    tools: Sequence[Mapping[str, Tool]],
    *,
    steps: int = 3,
    max_new: int = 48,
    temperature: float = 0.0,
    seed: int = 0,
    batch: int = 64,
) -> list[Answer]:
    """Every probe answered, step by step beside the others; `tools` has a set for each.

    The same loop as `dialogue.Session`, for many talks at once and without its memory: a probe
    must fit the context.
    """
    end = chat.marks(tokenizer)["end"]
    talks = [p.turns for p in probes]
    calls: list[list[str]] = [[] for _ in probes]
    results: list[list[Found]] = [[] for _ in probes]
    replies: list[str | None] = [None] * len(probes)
    active = list(range(len(probes)))
    for step in range(steps + 1):
        prompts = {
            i: chat.prompt(
                tokenizer, talks[i], language=probes[i].language, context=model.config.context
            )
            for i in active
        }
        active.sort(key=lambda i: len(prompts[i]))
        going = []
        for start in range(0, len(active), batch):
            some = active[start : start + batch]
            drawn = align.rollouts(
                model, [prompts[i] for i in some], group=1, max_new=max_new,
                generator=seed + step, stop=[end], temperature=temperature,
            )  # fmt: skip
            for i, (new,) in zip(some, drawn, strict=True):
                call = chat.called(tokenizer, new)
                if call is None:
                    replies[i] = chat.reply(tokenizer, new)
                    continue
                calls[i].append(call)
                if step == steps:
                    continue
                results[i].append(run(call, tools[i]))
                talks[i] += [(chat.CALL, call), ("tool", results[i][-1].text)]
                going.append(i)
        active = going
    return [
        Answer(calls=tuple(c), results=tuple(r), reply=reply)
        for c, r, reply in zip(calls, results, replies, strict=True)
    ]
