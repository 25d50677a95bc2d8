"""Exercises of the chapter `algorithms/transformer`."""

from llmcourse.exercises.transformer import parts, sizes

__all__ = ["EXERCISES"]

EXERCISES = (*parts.EXERCISES, *sizes.EXERCISES)
