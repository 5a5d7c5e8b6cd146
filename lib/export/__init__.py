"""A model for other programs: an ONNX file, a page that listens, a folder for transformers.

Start with `commands.export_model`; docs/predict.md shows the command.
"""
