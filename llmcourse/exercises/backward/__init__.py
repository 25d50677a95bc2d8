"""Exercises of the chapter `math/backward`."""

from llmcourse.exercises.backward import attention, gates, layers, loss

__all__ = ["EXERCISES"]

EXERCISES = (
    *layers.EXERCISES[:1],
    *loss.EXERCISES,
    *layers.EXERCISES[1:],
    *gates.EXERCISES,
    *attention.EXERCISES,
)
