"""The referee: predictions of any model scored the same way, and the leaderboard.

Start with `submission.read_submission` and `referee.score`. Labels come with the code
(`lib.data.annotations`); no recordings are needed.
"""
