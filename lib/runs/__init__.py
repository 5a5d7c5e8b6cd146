"""Training runs: which ones tables need, where they are, how they are trained, what they gave.

`plan` lists the runs of a profile, `execute` trains the missing ones (`local` or `ray`), `folder`
is a run on disk, `results` and `predictions` read finished runs, `tune` searches settings. Start
with `plan.plan_runs`.
"""
