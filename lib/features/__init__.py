"""Front ends and the cache of features computed from recordings."""
