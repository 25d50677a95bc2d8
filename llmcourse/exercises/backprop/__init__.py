"""Exercises of the chapter `concepts/backprop`, in the order in which they appear there."""

from llmcourse.exercises.backprop import graph, numbers

__all__ = ["EXERCISES"]

EXERCISES = (*graph.EXERCISES, *numbers.EXERCISES)
