"""Dense random fields, MultiStageMeanfield and DenseCRF: checks of their bottoms, and their initial parameters, without
JAX. Each function raises LayerError if the settings do not fit the bottoms."""

from collections.abc import Sequence
from math import inf, isfinite, prod

from engine.graph import fits
from engine.graph.graph import Node
from engine.host import regular_file
from engine.proto import caffe_pb2 as pb
from engine.proto import paths

Shape = tuple[int, ...]

MOST = 1000
"""The most iterations: more would change nothing, and each keeps a picture's scores for the gradient."""

KERNELS = ("spatial", "bilateral")
"""The filters of a MultiStageMeanfield, each with a text file of weights named after it: spatial.par."""

_LARGEST = 1 << 20
"""The most bytes of a file of weights: far more than any number of classes needs."""


def mean_field(node: Node, scores: Shape, start: Shape, picture: Shape) -> Shape:
    """The top of a MultiStageMeanfield, which has the shape of the scores."""
    p = node.config.multi_stage_meanfield_param
    fits.planes(node, scores)
    if start != scores:
        raise node.error(f"{node.bottom(1)} has shape {list(start)}; {list(scores)}, as {node.bottom(0)}, is needed.")
    _of_pictures(node, scores, picture, picture[1:2] >= (3,))
    deviations = {name: getattr(p, name) for name in ("theta_alpha", "theta_beta", "theta_gamma")}
    for name, value in deviations.items():
        if not p.HasField(name) or not 0 < value < inf:
            state = f"is {value:g}" if p.HasField(name) else "is not given"
            raise node.error(f"{name} {state}; it must be above 0: the deviation of a Gaussian.")
    if not 2 <= p.num_iterations <= MOST:
        raise node.error(f"num_iterations is {p.num_iterations}; it must be 2 to {MOST}.")
    return scores


def mean_field_params(node: Node, bottoms: Sequence[Shape]) -> list[tuple[str, Shape]]:
    """The parameters: the weights of the filters and the compatibility of classes, each a matrix of classes."""
    c = bottoms[0][1]
    return [(name, (1, 1, c, c)) for name in diagonals(node, c)]


def diagonals(node: Node, classes: int) -> dict[str, list[float]]:
    """The initial diagonals of a MultiStageMeanfield's parameters, by name; all other elements are 0."""
    weights = {f"{kernel} weights": _numbers(node, kernel, classes) for kernel in KERNELS}
    return {**weights, "compatibility": [-1.0] * classes}


def write_out(config: pb.LayerParameter, definition: str) -> None:
    """Copies the contents of the weight files of a MultiStageMeanfield, a layer of the prototxt `definition`, into its
    settings, for nets that are used elsewhere. A file that cannot be read is reported later, when the layer is set
    up."""
    p = config.multi_stage_meanfield_param
    for kernel in KERNELS:
        if not getattr(p, _field(kernel)):
            try:
                setattr(p, _field(kernel), " ".join(_file(kernel, definition).split()))
            except OSError:
                continue


def _field(kernel: str) -> str:
    return f"{kernel}_filter_weights_str"


def _file(kernel: str, definition: str | None) -> str:
    return regular_file.read(paths.resolve(f"{kernel}.par", definition), _LARGEST).decode(errors="replace")


def _numbers(node: Node, kernel: str, classes: int) -> list[float]:
    where, text = _field(kernel), getattr(node.config.multi_stage_meanfield_param, _field(kernel))
    if not text:
        where = f"{kernel}.par"
        try:
            text = _file(kernel, node.origin.path)
        except OSError as e:
            raise node.error(
                f"it begins with the weights in {where}, which {_why(e)}. Write {classes} numbers there, one per "
                f'class, or give {_field(kernel)}: "{" ".join(["3"] * min(classes, 3))}{" …" * (classes > 3)}".'
            ) from None
    words = text.split()[:classes]
    if len(words) < classes:
        raise node.error(f"{where} has {len(words)} numbers; {classes} are needed, one per class.")
    return [_number(node, where, word) for word in words]


def _why(error: OSError) -> str:
    return "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"


def _number(node: Node, where: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = inf
    if not isfinite(value):
        raise node.error(f"{where} has {word[:40]!r} among its weights, which is not a finite number.")
    return value


def dense_crf(node: Node, scores: Shape, sizes: Shape, picture: Shape | None = None) -> Shape:
    """The top of a DenseCRF, which has the shape of the scores."""
    p = node.config.dense_crf_param
    fits.planes(node, scores)
    if sizes[:1] != scores[:1] or prod(sizes[1:]) < 2:
        raise node.error(
            f"{node.bottom(1)} has shape {list(sizes)}; two values for each of {scores[0]} pictures are needed, rows "
            "and columns."
        )
    _as_many(node, "pos_xy_std", len(p.pos_xy_std), "pos_w", len(p.pos_w))
    _as_many(node, "bi_xy_std", len(p.bi_xy_std), "bi_w", len(p.bi_w))
    _as_many(node, "bi_rgb_std", len(p.bi_rgb_std), "bi_w", len(p.bi_w))
    for value in (*p.pos_xy_std, *p.bi_xy_std, *p.bi_rgb_std):
        if not 0 < value < inf:
            raise node.error(f"a deviation is {value:g}; pos_xy_std, bi_xy_std and bi_rgb_std must be above 0.")
    if p.max_iter > MOST:
        raise node.error(f"max_iter is {p.max_iter}; it must be {MOST} or less.")
    if picture is not None:
        _of_pictures(node, scores, picture, picture[1:2] == (3,))
        if not p.bi_w:
            raise node.error(
                f"{node.bottom(2)} is a picture, and bi_xy_std, bi_rgb_std, bi_w, which use it, are not set."
            )
    return scores


def _as_many(node: Node, name: str, count: int, other: str, others: int) -> None:
    if count != others:
        raise node.error(f"there are {count} {name} and {others} {other}; one of each is needed for a filter.")


def _of_pictures(node: Node, scores: Shape, picture: Shape, colours: bool) -> None:
    if len(picture) != 4 or not colours or (picture[0], *picture[2:]) != (scores[0], *scores[2:]):
        raise node.error(
            f"{node.bottom(2)} has shape {list(picture)}; a picture of 3 colours and {scores[2]}×{scores[3]} is "
            f"needed for each of the {scores[0]} of {node.bottom(0)}."
        )
