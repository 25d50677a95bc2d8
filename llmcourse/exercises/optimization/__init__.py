"""Exercises of the chapter `math/optimization`."""

from llmcourse.exercises.optimization import descent, methods

__all__ = ["EXERCISES"]

EXERCISES = (*descent.EXERCISES[:1], *methods.EXERCISES, *descent.EXERCISES[1:])
