"""The projects that close the parts: implement, train, and be judged by a measured score.

A project is an exercise whose check measures bits above the truth, or answers exactly right, on
what the model has never seen, and compares the whole 95 % interval with a stated bar. The bar is
met by methods, not by wall-clock time: take as long as the limit allows.
"""

from llmcourse.exercises.project.adapting import ADAPT, ANSWER_BAR, task
from llmcourse.exercises.project.budget import FLOPS, Plan, Run, spend
from llmcourse.exercises.project.corpus import Corpus, above, corpus, surprise
from llmcourse.exercises.project.plan import PLAN, PLAN_BAR
from llmcourse.exercises.project.remember import MEMORY_BAR, REMEMBER
from llmcourse.exercises.project.transformer import TRANSFORMER, TRANSFORMER_BAR

__all__ = [
    "ANSWER_BAR",
    "EXERCISES",
    "FLOPS",
    "MEMORY_BAR",
    "PLAN_BAR",
    "TRANSFORMER_BAR",
    "Corpus",
    "Plan",
    "Run",
    "above",
    "corpus",
    "spend",
    "surprise",
    "task",
]

EXERCISES = (REMEMBER, TRANSFORMER, PLAN, ADAPT)
