"""Training runs: planned, executed, found again."""
