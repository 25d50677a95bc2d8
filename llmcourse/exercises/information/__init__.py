"""Exercises of the chapter `math/information`."""

from llmcourse.exercises.information.coder import NARROW
from llmcourse.exercises.information.gradients import GRADIENTS
from llmcourse.exercises.information.measures import MEASURES

__all__ = ["EXERCISES"]

EXERCISES = (*MEASURES, NARROW, *GRADIENTS)
