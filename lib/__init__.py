"""From recordings to pages, one room for each stage; a room imports only those before it.

papers (what is rebuilt), data, features, models, evaluation, plots, runs, training, analysis,
tables, reports. Start with a paper: `lib.papers.patchmix` names its experiments, tables and claims.
"""
