"""The layers, one class a type, grouped by family. Importing this package fills the registry."""

from engine.layers import (  # noqa: F401
    accuracy,
    activation,
    affine,
    classification_loss,
    convolution,
    data,
    dummy_data,
    eltwise,
    inner_product,
    normalization,
    pooling,
    reduction,
    regression_loss,
    shape,
    structure,
)
