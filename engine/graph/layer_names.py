"""The names of the layer types, listed without JAX: a laptop can tell a misspelt one too."""

from engine import suggest
from engine.graph.graph import Graph
from engine.proto import forks

BVLC = frozenset(
    (
        "AbsVal",
        "Accuracy",
        "ArgMax",
        "BNLL",
        "BatchNorm",
        "BatchReindex",
        "Bias",
        "Clip",
        "Concat",
        "ContrastiveLoss",
        "Convolution",
        "Crop",
        "Data",
        "Deconvolution",
        "Dropout",
        "DummyData",
        "ELU",
        "Eltwise",
        "Embed",
        "EuclideanLoss",
        "Exp",
        "Filter",
        "Flatten",
        "HDF5Data",
        "HDF5Output",
        "HingeLoss",
        "Im2col",
        "ImageData",
        "InfogainLoss",
        "InnerProduct",
        "Input",
        "LRN",
        "LSTM",
        "LSTMUnit",
        "Log",
        "MVN",
        "MemoryData",
        "MultinomialLogisticLoss",
        "PReLU",
        "Parameter",
        "Pooling",
        "Power",
        "Python",
        "RNN",
        "ReLU",
        "Reduction",
        "Reshape",
        "SPP",
        "Scale",
        "Sigmoid",
        "SigmoidCrossEntropyLoss",
        "Silence",
        "Slice",
        "Softmax",
        "SoftmaxWithLoss",
        "Split",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
        "WindowData",
    )
)
"""The types of Caffe itself."""

FORKS: dict[str, tuple[str, ...]] = {
    "ssd": ("DetectionEvaluate", "DetectionOutput", "MultiBoxLoss", "Normalize", "Permute", "PriorBox", "SmoothL1Loss"),
    "rcnn": (),
    "segmentation": (),
    "mobile": (),
    "nvidia": (),
    "faces": (),
    "flow": (),
    "yolo": (),
    "other": (),
}
"""The types of Caffe's forks, by family."""

TYPES = BVLC.union(*FORKS.values())
"""The types that `engine.layers` registers."""


def check(graph: Graph) -> None:
    """Raises LayerError for the first layer of a type that is not there."""
    for node in graph.nodes:
        if node.config.type not in TYPES:
            raise node.error(unknown(node.config.type))


def unknown(kind: str) -> str:
    """What to say of a type that is not there: whose it is, or what is nearest to it."""
    if kind in forks.TYPES:
        return f'layer type "{kind}" is not one of Caffe\'s: it belongs to {forks.TYPES[kind]}.'
    near = suggest.closest(kind, TYPES, 3, ignore_case=True)
    meant = near and not _is_variant(kind, near[0])
    advice = f"Did you mean {' or '.join(near)}?" if meant else f"There are: {', '.join(sorted(TYPES))}."
    return f'unknown layer type "{kind}". {advice}'


def _is_variant(kind: str, known: str) -> bool:
    """Whether `kind` is `known` and a word or a number more: a layer of its own, as Convolution3D, and no slip."""
    before, found, after = kind.partition(known)
    return bool(found) and bool(before or after[:1].isupper() or after[:1].isdigit())
