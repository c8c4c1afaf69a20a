"""Normalisation layers of forks, of which several share a name: which of them a layer is, and the shapes of its tops
and parameters. Computed without JAX; each function raises LayerError if the settings do not fit the bottom."""

from engine.graph import fits
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]
Params = list[tuple[str, Shape]]


def of_nvidia(p: pb.BatchNormParameter) -> bool:
    """Whether a BatchNorm is NVIDIA's layer of that name, whose parameters differ."""
    return p.scale_bias or p.HasField("scale_filler") or p.HasField("bias_filler")


def of_segnet(config: pb.LayerParameter) -> bool:
    """Whether a BN is SegNet's, and not PSPNet's."""
    p = config.bn_param
    return len(config.top) > 1 or any(p.HasField(name) for name in ("scale_filler", "shift_filler", "bn_mode"))


def of_faces(config: pb.LayerParameter) -> bool:
    """Whether a Normalize is the one of face nets, and not SSD's."""
    return config.HasField("normalize_param") or len(config.top) == 2


def by_batch(node: Node, x: Shape) -> list[Shape]:
    """The tops of a BN: SegNet's also returns the batch's mean and variance."""
    shape, p = (1, fits.channels(node, x), 1, 1), node.config.bn_param
    if of_segnet(node.config) and p.bn_mode != p.LEARN and len(node.config.top) > 1:
        raise node.error("with bn_mode: INFERENCE it has no mean and variance to give; leave one top.")
    y = of_four_axes(x) if of_segnet(node.config) else x
    return [y, shape, shape][: len(node.config.top)]


def by_batch_params(node: Node, x: Shape) -> Params:
    """The parameters of a BN."""
    shape = (1, fits.channels(node, x), 1, 1)
    names = ("scale", "shift") if of_segnet(node.config) else ("slope", "bias", "mean", "variance")
    return [(name, shape) for name in names]


def nvidia_params(node: Node, x: Shape) -> Params:
    """The parameters of NVIDIA's BatchNorm."""
    shape: Shape = (fits.channels(node, x),)
    return [*((name, shape) for name in ("scale", "bias", "mean", "variance")), ("number of iterations", (1,))]


def of_four_axes(x: Shape) -> Shape:
    """x's shape, extended to at least 4 axes with trailing ones: for tops that Caffe shapes by num, channels, height,
    width."""
    return (*x, *(1,) * (4 - len(x)))


def of_unit_length(node: Node, x: Shape) -> Shape:
    """The top of an L2Norm or L2Normalize."""
    if not x:
        raise node.error(f"{node.bottom(0)} is a scalar; its first axis must be the batch.")
    return of_four_axes(x)


def to_length(node: Node, x: Shape) -> list[Shape]:
    """The tops of a Normalize: that of face nets has four axes, and may also return the norms."""
    if not of_faces(node.config):
        fits.channels(node, x)
        return [x]
    kind = node.config.normalize_param.normalize_type
    if len(x) > 4 or not x:
        raise node.error(f"{node.bottom(0)} has shape {list(x)}; 1 to 4 axes are taken: num, channels, h, w.")
    if kind not in ("L1", "L2"):
        raise node.error(f'normalize_type is "{kind}"; it must be "L1" or "L2".')
    n, c, h, w = of_four_axes(x)
    tops: list[Shape] = [(n, c, h, w), (n, 1, h, w)]
    return tops[: len(node.config.top)]


def to_length_params(node: Node, x: Shape) -> Params:
    """The parameters of a Normalize: SSD's learns a scale."""
    if of_faces(node.config):
        return []
    return [("scale", () if node.config.norm_param.channel_shared else (fits.channels(node, x),))]
