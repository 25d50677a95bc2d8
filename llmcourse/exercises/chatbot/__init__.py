"""Exercises of the chapter `applications/chatbot`."""

from llmcourse.exercises.chatbot import room, sums, text

__all__ = ["EXERCISES"]

EXERCISES = (*text.EXERCISES, *room.EXERCISES, *sums.EXERCISES)
