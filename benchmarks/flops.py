"""Model FLOPs of a training step of AST, by formula."""

from benchmarks.plain import AST


def forward(width: int, depth: int, tokens: int) -> int:
    """FLOPs of AST's blocks for one clip of `tokens` tokens, a product and a sum counted as two.

    A block has four products with weights, D to 3 D, D to D, D to 4 D and 4 D to D: 12 D^2 weights
    and so 24 T D^2 FLOPs. Q K^T and its product with V are 2 T^2 D each. Norms, softmax and GELU
    are left out, as is usual.
    """
    return depth * (24 * tokens * width**2 + 4 * tokens**2 * width)


def step(model: AST, batch: int, patch: int) -> int:
    """FLOPs of a Patch-Mix CL step: three times those of the forward of clean and mixed clips.

    A backward costs twice its forward. The patch embedding, 2 P^2 D for each of N patches, is paid
    once, since clean and mixed clips share it (the plain way pays it twice; it is below 1%); the
    blocks are paid twice; then the classifier on B clips, 2 D C, the projector on B, 2 (D H + H D),
    and the loss's B x B similarities, 2 B^2 D. What the device really does is more where something
    is computed again, and less where a gradient is not needed: that of the pictures, of the target.
    """
    width, depth = model.classifier[1].in_features, len(model.vit.blocks)
    tokens = model.vit.pos_embed.shape[1]
    embedding = 2 * (tokens - 2) * patch**2 * width
    classes, hidden = model.classifier[1].out_features, model.projector[0].out_features
    head = 2 * width * classes + 2 * 2 * width * hidden + 2 * batch * width
    return 3 * batch * (embedding + 2 * forward(width, depth, tokens) + head)
