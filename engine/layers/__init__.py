"""The layers, one class a type, grouped by family. Importing this package fills the registry."""

from engine.layers import (  # noqa: F401
    accuracy,
    activation,
    affine,
    argmax,
    classification_loss,
    convolution,
    crop,
    eltwise,
    indexing,
    inner_product,
    normalization,
    pooling,
    python,
    recurrent,
    reduction,
    regression_loss,
    shape,
    sources,
    structure,
)
