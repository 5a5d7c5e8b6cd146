"""Models: (B, frames, mels) in; `features` gives z, `classifier` turns z into logits.

One file each: `ast`, `dass` (with `ss2d` and `scan`), `cnn`, `efficientat`. `build.build_model`
makes that of an experiment, `weights` finds published files, `pretrained` loads them.
"""
