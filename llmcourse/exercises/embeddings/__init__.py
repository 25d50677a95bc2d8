"""Exercises of the chapter `algorithms/embeddings`."""

from llmcourse.exercises.embeddings import near, rows

__all__ = ["EXERCISES"]

EXERCISES = (*rows.EXERCISES, *near.EXERCISES)
