"""From labels and predictions to scores and intervals."""
