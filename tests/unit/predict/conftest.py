"""Fixtures of a small packaged model."""

from small_model import breath, packaged, small, trained  # noqa: F401
