"""The layers, one class a type, grouped by family. Importing this package fills the registry."""

from engine.layers import activation, convolution, data, inner_product, loss, structure  # noqa: F401
