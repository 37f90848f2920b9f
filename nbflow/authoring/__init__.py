"""Turning Python into states: what marks a function or a notebook as a task. Knows the language only."""
