"""Checks whether a model's arrays fit the parameters of a layer."""

from collections.abc import Sequence
from math import prod

Shape = tuple[int, ...]

NVIDIA_015 = ["scale", "bias", "mean", "variance", "number of iterations"]
"""The arrays of a BatchNorm with scale_bias, in the order of NVIDIA's Caffe 0.15, which is also the engine's."""

NVIDIA_017 = (3, 4, 0, 1, 2)
"""Their positions in models of 0.16 and 0.17, which have a correction, always 1, in place of the number."""


def from_nvidia_017(found: Sequence[Shape], wanted: Sequence[tuple[str, Shape]]) -> bool:
    """Whether a layer's arrays are from NVIDIA's Caffe 0.16 or 0.17, and so must be taken in the order NVIDIA_017."""
    sizes = [prod(shape) for _, shape in wanted]
    ordered = [name for name, _ in wanted] == NVIDIA_015 and len(found) == len(wanted) and sizes[0] > 1
    return ordered and [prod(found[i]) for i in NVIDIA_017] == sizes


def complaint(layer: str, found: Sequence[Shape], wanted: Sequence[tuple[str, Shape]]) -> str | None:
    """What is wrong with a layer's arrays in a model, in Caffe's words; None if they fit.

    wanted: the name, for messages, and the shape of each of the layer's parameters. Old models pad their shapes to 4
    axes with leading ones.
    """
    if from_nvidia_017(found, wanted):
        found = [found[i] for i in NVIDIA_017]
    if len(found) != len(wanted):
        return incompatible(layer, len(found), len(wanted))
    for index, (shape, (name, own)) in enumerate(zip(found, wanted, strict=True)):
        if shape not in (own, (1,) * (4 - len(own)) + own):
            return (
                f"Cannot copy param {index} weights from layer '{layer}' ({name}); {_mismatch(shape, own)} To learn "
                "this layer's parameters from scratch rather than copying from a saved net, rename the layer."
            )
    return None


def unshared(layer: str, found: Sequence[Shape], wanted: Sequence[Shape]) -> str | None:
    """Why a layer cannot share another net's arrays, in Caffe's words; None if it can."""
    if len(found) != len(wanted):
        return incompatible(layer, len(found), len(wanted))
    for index, (shape, own) in enumerate(zip(found, wanted, strict=True)):
        if shape != own:
            return f"Cannot share param {index} weights from layer '{layer}'; {_mismatch(shape, own)}"
    return None


def _mismatch(found: Shape, wanted: Shape) -> str:
    return f"shape mismatch. Source param shape is {_shown(found)}; target param shape is {_shown(wanted)}."


def incompatible(layer: str, found: int, wanted: int) -> str:
    """The message for a layer that has another number of arrays in a model, in Caffe's words."""
    return f"Incompatible number of blobs for layer '{layer}': it has {found} there and {wanted} in this net."


def _shown(shape: Shape) -> str:
    """A shape as Caffe writes it: `5 3 (15)`."""
    return " ".join(map(str, (*shape, f"({prod(shape)})")))
