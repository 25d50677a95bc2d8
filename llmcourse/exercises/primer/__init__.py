"""Exercises of the chapter `appendix/primer`."""

from llmcourse.exercises.primer import chance, tensors

__all__ = ["EXERCISES"]

EXERCISES = (*tensors.EXERCISES, *chance.EXERCISES)
