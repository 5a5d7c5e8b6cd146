"""The interface of all models."""

from torch import Tensor, nn


class Classifier(nn.Module):
    """A model with `features` (x -> z), `width` (of z) and `classifier` (z -> logits).

    Models whose patches can be mixed have `embed` (x -> grid of patches), `encode` (grid -> z) and
    `grid`, its size.
    """

    def features(self, x: Tensor) -> Tensor:
        """z (B, width) of normalised features (B, frames, bins)."""
        return self.encode(self.embed(x))

    def probe_features(self, x: Tensor) -> Tensor:
        """What a linear probe sees (B, D) of normalised features (B, frames, bins): z."""
        return self.features(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, n_classes)."""
        return self.classifier(self.features(x))
