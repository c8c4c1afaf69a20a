"""The layers, one class a type, grouped by family. Importing this package fills the registry."""

from engine.layers import (  # noqa: F401
    accuracy,
    activation,
    affine,
    classification_loss,
    convolution,
    crop,
    data,
    dummy_data,
    eltwise,
    im2col,
    inner_product,
    lrn,
    normalization,
    pooling,
    reduction,
    regression_loss,
    shape,
    spp,
    structure,
)
