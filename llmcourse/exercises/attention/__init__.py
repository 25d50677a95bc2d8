"""Exercises of the chapter `algorithms/attention`."""

from llmcourse.exercises.attention import heads, online, scores

__all__ = ["EXERCISES"]

EXERCISES = (*scores.EXERCISES, *heads.EXERCISES, *online.EXERCISES)
