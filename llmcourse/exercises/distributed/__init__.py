"""Exercises of the chapter `practice/distributed`."""

from llmcourse.exercises.distributed import plans, shares

__all__ = ["EXERCISES"]

EXERCISES = (*shares.EXERCISES, *plans.EXERCISES)
