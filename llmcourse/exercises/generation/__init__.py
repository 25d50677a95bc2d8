"""Exercises of the chapter `algorithms/generation`."""

from llmcourse.exercises.generation import drafts, loop, search

__all__ = ["EXERCISES"]

EXERCISES = (*loop.EXERCISES, *search.EXERCISES, *drafts.EXERCISES)
