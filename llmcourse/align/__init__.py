"""From a model that continues text to one that answers: SFT, preferences, policy gradient.

Example:
    >>> train(model, AnswerBatches(rows, batch=16), TrainConfig(steps=500))  # doctest: +SKIP
    >>> dpo(model, pairs, DPOConfig(), reference=before)                     # doctest: +SKIP
    >>> grpo(model, prompts, reward, GRPOConfig(), stop=[end])               # doctest: +SKIP
"""

from llmcourse.align.loop import DPOConfig, GRPOConfig, dpo, grpo
from llmcourse.align.policy import clipped_loss, group_advantages, kl_estimate, over_tokens
from llmcourse.align.preference import (
    Pair,
    bradley_terry_loss,
    dpo_loss,
    pad_rows,
    read_pairs,
    sequence_logprob,
    token_logprobs,
)
from llmcourse.align.rollout import Reward, answers, exact_answer, rollouts
from llmcourse.align.sft import AnswerBatches

__all__ = [
    "AnswerBatches",
    "DPOConfig",
    "GRPOConfig",
    "Pair",
    "Reward",
    "answers",
    "bradley_terry_loss",
    "clipped_loss",
    "dpo",
    "dpo_loss",
    "exact_answer",
    "group_advantages",
    "grpo",
    "kl_estimate",
    "over_tokens",
    "pad_rows",
    "read_pairs",
    "rollouts",
    "sequence_logprob",
    "token_logprobs",
]
