"""Passes over any number of examples, one batch of the net's size at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from engine.blob import Blob
from engine.errors import NetError

Arrays = dict[str, np.ndarray]


class OpenNet(Protocol):
    """What these functions need of a net."""

    @property
    def blobs(self) -> Mapping[str, Blob]: ...
    @property
    def inputs(self) -> Sequence[str]: ...
    @property
    def outputs(self) -> Sequence[str]: ...
    def forward(self, blobs: Iterable[str] | None, **inputs: Any) -> Arrays: ...
    def backward(self, diffs: Iterable[str] | None, **gradients: Any) -> Arrays: ...


def forward(net: OpenNet, blobs: Iterable[str], inputs: Mapping[str, Any]) -> Arrays:
    """`net.forward` on each batch of `inputs`, results concatenated. A scalar (a loss) gives one value per batch."""
    parts = [_copied(net.forward(blobs, **batch)) for batch in batches(net, inputs)]
    return _concatenated(parts, _examples(inputs)) or _none(net, [*net.outputs, *blobs])


def forward_backward(
    net: OpenNet, blobs: Iterable[str], diffs: Iterable[str], arrays: Mapping[str, Any]
) -> tuple[Arrays, Arrays]:
    """`net.forward` and `net.backward` on each batch of `arrays`, which hold inputs and gradients of outputs.

    If one kind runs out of batches before the other, its blobs keep their values. There are as many results as the
    first array has examples.
    """
    inputs = {name: value for name, value in arrays.items() if name not in net.outputs}
    gradients = {name: value for name, value in arrays.items() if name in net.outputs}
    outs: list[Arrays] = []
    backs: list[Arrays] = []
    nothing: dict[str, Any] = {}
    for batch, gradient in zip_longest(batches(net, inputs), batches(net, gradients), fillvalue=nothing):
        outs.append(_copied(net.forward(blobs, **batch)))
        backs.append(_copied(net.backward(diffs, **gradient)))
    count = len(next(iter(arrays.values()), ()))
    return (
        _concatenated(outs, count) or _none(net, [*net.outputs, *blobs]),
        _concatenated(backs, count) or _none(net, [*net.inputs, *diffs]),
    )


def batches(net: OpenNet, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arrays split into pieces of the net's batch size, the last padded with zeros."""
    if not arrays:
        return
    size = net.blobs[next(iter(arrays))].num
    count = _examples(arrays)
    for start in range(0, count, size):
        piece = {name: np.asarray(value[start : start + size], np.float32) for name, value in arrays.items()}
        short = size - min(size, count - start)
        yield {name: np.pad(x, [(0, short)] + [(0, 0)] * (x.ndim - 1)) for name, x in piece.items()}


def _examples(arrays: Mapping[str, Any]) -> int:
    counts = {name: len(value) for name, value in arrays.items()}
    if len(set(counts.values())) > 1:
        raise NetError(f"the arrays have different numbers of examples: {counts}.")
    return next(iter(counts.values()), 0)


def _copied(arrays: Arrays) -> Arrays:
    return {name: np.array(value, ndmin=1) for name, value in arrays.items()}


def _concatenated(parts: Sequence[Arrays], examples: int) -> Arrays:
    """The batches concatenated, without the padding of the last one."""
    return {name: np.concatenate([p[name] for p in parts])[:examples] for name in parts[0]} if parts else {}


def _none(net: OpenNet, names: Iterable[str]) -> Arrays:
    """The results for no examples: empty arrays."""
    return {name: np.empty((0, *net.blobs[name].shape[1:]), np.float32) for name in names}
