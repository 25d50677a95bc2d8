"""Exercises of the chapter `math/scaling`."""

from llmcourse.exercises.scaling.counts import COUNTS
from llmcourse.exercises.scaling.laws import LAWS

__all__ = ["EXERCISES"]

EXERCISES = (*COUNTS, *LAWS)
