"""Probabilities for anybody's recordings from a packaged model; packaging and exporting models.

Start with `load.load_model` and `answer.predict_file`; docs/predict.md shows the commands.
"""
