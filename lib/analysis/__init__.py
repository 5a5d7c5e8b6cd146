"""What can be learnt about a trained model or a dataset."""
