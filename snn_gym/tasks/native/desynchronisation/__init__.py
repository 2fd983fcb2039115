"""Desynchronisation: the task and the picture of it."""
