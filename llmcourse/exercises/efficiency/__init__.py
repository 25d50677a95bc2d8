"""Exercises of the chapter `practice/efficiency`."""

from llmcourse.exercises.efficiency import bits, many

EXERCISES = (*bits.EXERCISES, *many.EXERCISES)
