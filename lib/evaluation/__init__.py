"""Scores and intervals of predictions."""
