"""The package of the course: every model the book speaks of."""
