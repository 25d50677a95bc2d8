"""Exercises of the chapter `math/backward`."""

from llmcourse.exercises.backward import attention, layers, loss

__all__ = ["EXERCISES"]

EXERCISES = (*layers.EXERCISES[:1], *loss.EXERCISES, *layers.EXERCISES[1:], *attention.EXERCISES)
