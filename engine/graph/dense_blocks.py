"""DenseBlock, a DenseNet's convolutions in one layer: the shapes of its top and parameters, computed without JAX. Each
function raises LayerError for settings that cannot be obeyed."""

from engine.graph import fits
from engine.graph.graph import Node

Shape = tuple[int, ...]
Params = list[tuple[str, Shape]]

WIDER = 4
"""The channels of a bottleneck, as a multiple of growthRate (Huang et al. 2017, section 3)."""

MOST = 1000
"""The most convolutions of a block: each is compiled by itself. The deepest DenseNets have some dozens."""

_FIXED = {"filter_H": 3, "filter_W": 3, "pad_h": 1, "pad_w": 1, "conv_verticalStride": 1, "conv_horizentalStride": 1}
"""Fields that the fork has but ignores, with the values that it uses."""


def top(node: Node, x: Shape) -> Shape:
    """The top: like x, with growthRate more channels for each of numTransition convolutions."""
    p = node.config.denseblock_param
    fits.planes(node, x)
    if not 1 <= p.numTransition <= MOST or p.growthRate < 1:
        raise node.error(
            f"numTransition is {p.numTransition} and growthRate {p.growthRate}; both must be 1 or more, and "
            f"numTransition {MOST} at most."
        )
    for name, value in _FIXED.items():
        if getattr(p, name) != value:
            raise node.error(f"{name} is {getattr(p, name)}; its fork uses {value} whatever is given.")
    if not 0 <= p.dropout_amount < 1:
        raise node.error(f"dropout_amount {p.dropout_amount:g} is not a probability from 0 to below 1.")
    return x[0], x[1] + p.numTransition * p.growthRate, *x[2:]


def params(node: Node, x: Shape) -> Params:
    """The parameters: all of one kind, transition by transition, then all of the next kind."""
    p = node.config.denseblock_param
    top(node, x)
    numbers = range(p.numTransition)
    before = [x[1] + i * p.growthRate for i in numbers]
    middle = [WIDER * p.growthRate] * p.numTransition
    read = middle if p.use_BC else before
    declared = [("filter", (p.growthRate, read[i], 3, 3)) for i in numbers]
    declared += [(name, (1, before[i], 1, 1)) for name in ("scaler", "bias", "mean", "variance") for i in numbers]
    if p.use_BC:
        declared += [("bottleneck filter", (middle[i], before[i], 1, 1)) for i in numbers]
        kinds = ("bottleneck scaler", "bottleneck bias", "bottleneck mean", "bottleneck variance")
        declared += [(name, (1, middle[i], 1, 1)) for name in kinds for i in numbers]
    return [*declared, ("number of terms", (1,))]
