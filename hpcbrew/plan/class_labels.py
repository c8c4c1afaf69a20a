"""Checks that labels are within the classes of the net that is to learn them."""

from collections.abc import Mapping, Sequence

from engine.data.label_bounds import LabelBounds
from engine.graph import same_shape
from engine.graph.graph import Graph, Node
from hpcbrew.errors import ManifestError

JUDGES = {
    "SoftmaxWithLoss": "loss_param",
    "WeightedSoftmaxWithLoss": "loss_param",
    "MultinomialLogisticLoss": "",
    "InfogainLoss": "loss_param",
    "HingeLoss": "",
    "Accuracy": "accuracy_param",
}
"""The layers whose second bottom is a class label, each with the parameter block that may hold its ignore_label."""

KEEPING = same_shape.TYPES | {"Pooling", "PoolingND"}
"""The layers that do not change the number of channels."""


def check(graph: Graph, label: str, places: Mapping[int, str]) -> None:
    """Checks labels against the layers that take them as classes. `label` is the blob of the labels; `places` maps each
    label to where it was found.

    Raises ManifestError, naming the place and the layer, for a label that a layer cannot take.
    """
    for place, node in enumerate(graph.nodes):
        layer, bottoms = node.config, node.origin.bottoms
        if layer.type not in JUDGES or len(bottoms) < 2 or bottoms[1] != label:
            continue
        classes = _channels(graph.nodes[:place], bottoms[0])
        if not classes:
            continue
        block = JUDGES[layer.type]
        param = getattr(layer, block) if block else None
        ignore = param.ignore_label if param is not None and param.HasField("ignore_label") else None
        bad_label = next((value for value in places if not 0 <= value < classes and value != ignore), None)
        if bad_label is not None:
            bounds = LabelBounds(classes, ignore, f"{node.origin}{node.shown}", block)
            raise ManifestError(f"{places[bad_label]}: {bounds.complaint(bad_label, label)}")


def _channels(nodes: Sequence[Node], blob: str) -> int:
    """Returns the number of channels of a blob according to the layer that produces it; 0 if that does not say."""
    for node in reversed(nodes):
        layer = node.config
        if blob not in layer.top:
            continue
        if layer.type == "InnerProduct" and layer.inner_product_param.axis == 1:
            return layer.inner_product_param.num_output
        if layer.type == "Convolution" and layer.convolution_param.axis == 1:
            return layer.convolution_param.num_output
        if layer.type not in KEEPING or not node.origin.bottoms:
            return 0
        blob = node.origin.bottoms[0]
    return 0
