"""From recordings to pages, one package for each stage; a package imports only those before it.

papers (what is rebuilt), data, features, models, evaluation, plots, runs, training, analysis,
tables, reports. Start with a paper: `lib.papers.patchmix` names its experiments, tables and claims.
"""
