"""Probabilities for anybody's recordings from a packaged model; packaging models.

Start with `model.load_model` and `answer.predict_file`; docs/predict.md shows the commands.
"""
