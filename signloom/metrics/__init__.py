"""Scores computed from answers and references alone, with their intervals."""
