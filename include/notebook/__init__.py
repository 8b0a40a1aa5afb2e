"""Vitrine in Python: the live version open for questions, and results that a notebook shows."""
