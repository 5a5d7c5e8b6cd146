"""Training: `trainer.fit` takes an experiment from its first to its last epoch, resumable.

A way of training is one function in `methods`; its loss is in `losses`, what is random in
`augment`, optimisers and SAM in `optim`. Start with `trainer`.
"""
