"""Evaluation: tasks (their classes), Sp, Se and Score, and intervals over patients.

Start with `scores.score_predictions`: every Score of the project is computed there, from labels
and predictions.
"""
