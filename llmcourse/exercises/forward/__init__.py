"""Exercises of the chapter `math/forward`."""

from llmcourse.exercises.forward import numbers, signal

__all__ = ["EXERCISES"]

EXERCISES = (*numbers.EXERCISES[:1], *signal.EXERCISES, *numbers.EXERCISES[1:])
