"""Thin helpers behind the notebooks: from recordings to tables, one idea per module."""
