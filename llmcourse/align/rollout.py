"""Many answers to each of many prompts, with each prompt read once."""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import nn

from llmcourse import chat
from llmcourse.filters import Sampling, draw, greedy
from llmcourse.tokenizers import Tokenizer

__all__ = ["Reward", "answers", "exact_answer", "rollouts"]

# A prompt's number and the new ids of one answer to it; higher is better.
Reward = Callable[[int, Sequence[int]], float]


@torch.inference_mode()
def rollouts(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    group: int,
    max_new: int,
    generator: torch.Generator | int,
    stop: Collection[int] = (),
    temperature: float = 1.0,
) -> list[list[list[int]]]:
    """`group` answers to each prompt: `sample.generate_many` for a GPT, with less to read.

    What all prompts have in length is read once a prompt, and its keys and values are then shared
    out to the prompt's answers. A longer prompt's own tokens stand in for draws until it ends.

    Raises:
        ValueError: there is no room for `max_new` tokens, a prompt is empty, or `group` below 1.
    """
    if group < 1 or max_new < 1:
        raise ValueError(f"group and max_new must be at least 1, got {group} and {max_new}")
    if not prompts:
        return []
    lengths = [len(p) for p in prompts for _ in range(group)]
    short, context = min(lengths), model.config.context
    if short < 1:
        raise ValueError("a prompt must hold at least one id: a model predicts what follows it")
    if max(lengths) + max_new > context:
        raise ValueError(
            f"the longest prompt has {max(lengths)} tokens and max_new is {max_new}, "
            f"together longer than the context of {context}"
        )
    choice, stop = Sampling(temperature=temperature), frozenset(stop)
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    cache = model.cache(len(prompts), length=max(lengths) + max_new)
    logits = model(torch.tensor([p[:short] for p in prompts], device=device), cache=cache)[0]
    shared = torch.arange(len(prompts), device=device).repeat_interleave(group)
    cache.reorder(shared)
    logits = logits[shared, -1]
    rows = [list(p) for p in prompts for _ in range(group)]
    done = [False] * len(rows)
    for position in range(short, max(lengths) + max_new):
        shaped = choice.filter(logits)
        drawn = greedy(shaped) if temperature == 0 else draw(shaped, generator)
        for i, token in enumerate(drawn.tolist()):
            if position >= lengths[i] and not done[i]:
                rows[i].append(token)
                done[i] = token in stop or len(rows[i]) == lengths[i] + max_new
        if all(done):
            break
        # A finished row reads any token: nobody looks at what follows.
        now = [[row[position] if position < len(row) else 0] for row in rows]
        logits = model(torch.tensor(now, device=device), cache=cache)[0][:, -1]
    model.train(was_training)
    new = [row[n:] for row, n in zip(rows, lengths, strict=True)]
    return [new[i : i + group] for i in range(0, len(new), group)]


def answers(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new: int = 24,
    temperature: float = 0.0,
    generator: torch.Generator | int = 0,
    batch: int = 64,
) -> list[str | None]:
    """One reply to each prompt as text, the most probable by default; None where it did not end."""
    end = chat.marks(tokenizer)["end"]
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[str | None] = [None] * len(prompts)
    for start in range(0, len(order), batch):
        now = order[start : start + batch]
        drawn = rollouts(
            model, [prompts[i] for i in now], group=1, max_new=max_new, generator=generator,
            stop=[end], temperature=temperature,
        )  # fmt: skip
        for i, (new,) in zip(now, drawn, strict=True):
            found[i] = chat.reply(tokenizer, new)
    return found


def exact_answer(tokenizer: Tokenizer, wanted: Sequence[str]) -> Reward:
    """The reward 1 for an ended reply that equals the wanted text, letter for letter, else 0."""

    def reward(number: int, new: Sequence[int]) -> float:
        return float(chat.reply(tokenizer, new) == wanted[number])

    return reward
