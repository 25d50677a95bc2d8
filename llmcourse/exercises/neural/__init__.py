"""Exercises of the chapter `concepts/neural`."""

from llmcourse.exercises.neural import gradients, networks

__all__ = ["EXERCISES"]

EXERCISES = (*networks.EXERCISES, *gradients.EXERCISES)
