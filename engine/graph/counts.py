"""How many bottoms and tops a layer takes: for Caffe's own types, and for the types of forks whose shapes are computed
without JAX. Other layers of forks, and users' own, declare it themselves."""

from engine.graph.graph import Graph, Node
from engine.proto.layer_names import BVLC

Bounds = tuple[int, int | None]
"""The least and the most; None: any number."""

ONE: Bounds = (1, 1)
OTHERS: dict[str, tuple[Bounds, Bounds]] = {
    "Accuracy": ((2, 2), (1, 2)),
    "BatchReindex": ((2, 2), ONE),
    "Bias": ((1, 2), ONE),
    "Concat": ((1, None), ONE),
    "ContrastiveLoss": ((3, 3), ONE),
    "Convolution": ((1, None), (1, None)),
    "Crop": ((2, 2), ONE),
    "Data": ((0, 0), (1, 2)),
    "Deconvolution": ((1, None), (1, None)),
    "DummyData": ((0, 0), (1, None)),
    "Eltwise": ((1, None), ONE),
    "EuclideanLoss": ((2, 2), ONE),
    "Filter": ((2, None), (1, None)),
    "HDF5Data": ((0, 0), (1, None)),
    "HDF5Output": ((2, 2), (0, 0)),
    "HingeLoss": ((2, 2), ONE),
    "ImageData": ((0, 0), (1, 2)),
    "InfogainLoss": ((2, 3), (1, 2)),
    "Input": ((0, 0), (1, None)),
    "LSTM": ((2, 5), (1, 3)),
    "LSTMUnit": ((3, 3), (2, 2)),
    "MemoryData": ((0, 0), (2, 2)),
    "MultinomialLogisticLoss": ((2, 2), ONE),
    "Parameter": ((0, 0), ONE),
    "Pooling": (ONE, (1, 2)),
    "Python": ((0, None), (0, None)),
    "RNN": ((2, 5), (1, 3)),
    "Scale": ((1, 2), ONE),
    "SigmoidCrossEntropyLoss": ((2, 3), ONE),
    "Silence": ((1, None), (0, 0)),
    "Slice": (ONE, (1, None)),
    "SoftmaxWithLoss": ((2, 2), (1, 3)),
    "Split": (ONE, (1, None)),
    "WindowData": ((0, 0), (2, 2)),
}
"""Bottoms and tops of Caffe's types that do not take exactly one of each. R-FCN's third top of SoftmaxWithLoss,
MNC's third bottom of SigmoidCrossEntropyLoss and FlowNet's single bottom of Eltwise are included."""


FORKS: dict[str, tuple[Bounds, Bounds]] = {
    **dict.fromkeys(("ChannelNorm", "Flip", "HardSwish", "Insanity", "Interp", "L2Norm", "L2Normalize"), (ONE, ONE)),
    **dict.fromkeys(("Mish", "NegReLU", "Permute", "ReLU6", "Reorg", "Reverse", "SeLu"), (ONE, ONE)),
    **dict.fromkeys(("SeLuDropout", "ShuffleChannel", "SpatialDropout", "Squeeze", "Transpose"), (ONE, ONE)),
    **dict.fromkeys(("Noise", "Normalization", "NormalizationL2", "Padding", "Resize", "TensorTranspose"), (ONE, ONE)),
    **dict.fromkeys(("ExpMax", "Grid", "NegSquare"), (ONE, ONE)),
    **dict.fromkeys(("MultiLabelAccuracy", "MultiLabelLoss"), ((2, 2), ONE)),
    **dict.fromkeys(("PriorBox", "PriorBoxClustered", "Upsample"), ((1, 2), ONE)),
    **dict.fromkeys(("MaskPooling", "PSROIPooling", "ROIAlign", "ROIPooling", "ROIWarping"), ((2, 2), ONE)),
    "Axpy": ((3, 3), ONE),
    "GradientScaler": ((1, None), (1, None)),
    "JMMDLoss": ((4, 4), ONE),
    "Warp": ((2, 2), ONE),
    "MMDLoss": ((2, 2), ONE),
    "DenseCRF": ((2, 3), ONE),
    "WeightedSoftmaxWithLoss": ((2, 3), (1, 2)),
    "DetectionOutput": ((3, 5), ONE),
    "MultiStageMeanfield": ((3, 3), ONE),
    "MultiBoxFocalLoss": ((4, 4), ONE),
    "MultiBoxLoss": ((4, 4), ONE),
    "BN": (ONE, (1, 3)),
    "PoolingND": (ONE, (1, 2)),
    "Normalize": (ONE, (1, 2)),
}
"""Bottoms and tops of the forks' types that `blob_shapes` knows and that take the same numbers in every fork."""


def of(kind: str) -> tuple[Bounds, Bounds] | None:
    """Bottoms and tops of one of Caffe's own types or of the forks' in FORKS; None for any other type."""
    return OTHERS.get(kind, (ONE, ONE)) if kind in BVLC else FORKS.get(kind)


def check(graph: Graph) -> None:
    """Raises LayerError for the first layer with too few or too many bottoms or tops, if its type is known here."""
    for node in graph.nodes:
        bounds = of(node.config.type)
        if bounds:
            fitting(node, *bounds, named_tops(node))


def named_tops(node: Node) -> int:
    """The number of tops of a layer whose type is known here: a loss that names none has one."""
    return len(node.config.top) or (1 if node.config.type.endswith("Loss") else 0)


def fitting(node: Node, bottoms: Bounds, tops: Bounds, named: int) -> None:
    """Raises LayerError if a layer has too few or too many bottoms or tops; `named`: how many tops it has."""
    for what, number, (least, most) in (("bottom", len(node.config.bottom), bottoms), ("top", named, tops)):
        if number < least or (most is not None and number > most):
            raise node.error(f"it has {number} {what}s and takes {_range(least, most)}.")


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least}"
    return str(least) if least == most else f"{least} to {most}"
