"""Analyses of datasets and of trained models; they return numbers, `lib.plots` draws them.

`inspect` runs those that need a model while it is in memory, at the end of its training; the
others read a run's files or a dataset's tables.
"""
