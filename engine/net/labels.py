"""Class labels: which layers read which, and how the pass itself checks those that no data layer has checked.

For a label that is no class, Caffe reads memory outside of the array, and a compiled net would use the last class.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.data.label_bounds import LabelBounds
from engine.graph.graph import Node, Value
from engine.layers.base import Layer, SourceLayer

Array = jax.Array


class Labels(NamedTuple):
    """A bottom that holds labels: its layer, its index there, the labels allowed, and the value before any splits."""

    layer: int
    bottom: int
    bounds: LabelBounds
    value: Value


def read(nodes: Sequence[Node], layers: Sequence[Layer], tops: Sequence[Sequence[Value]]) -> list[Labels]:
    """Every bottom of a net that holds labels."""
    makers = {v: i for i, values in enumerate(tops) for v in values}

    def unsplit(value: Value) -> Value:
        while layers[makers[value]].copies:
            value = nodes[makers[value]].bottoms[0]
        return value

    return [
        Labels(i, j, bounds, unsplit(nodes[i].bottoms[j]))
        for i, layer in enumerate(layers)
        for j, bounds in layer.label_bounds().items()
    ]


def by_source(
    labels: Sequence[Labels], layers: Sequence[Layer], tops: Sequence[Sequence[Value]]
) -> dict[str, tuple[LabelBounds, ...]]:
    """For each top of a source (Input layers included) that holds labels: the bounds of all layers that read it."""
    of_sources = {
        v for layer, values in zip(layers, tops, strict=True) if isinstance(layer, SourceLayer) for v in values
    }
    bounds: defaultdict[str, list[LabelBounds]] = defaultdict(list)
    for each in labels:
        if each.value in of_sources:
            bounds[each.value.blob].append(each.bounds)
    return {blob: tuple(all_of_it) for blob, all_of_it in bounds.items()}


def unchecked(labels: Sequence[Labels], layers: Sequence[Layer], tops: Sequence[Sequence[Value]]) -> list[Labels]:
    """The class labels that aren't checked where batches are made: the net computes them, or its caller passes them.

    Targets without classes are not checked: as in Caffe they may be NaN, which shows in the loss.
    """
    read_here = (isinstance(layer, SourceLayer) and layer.reads_data for layer in layers)
    checked = {v for values, read in zip(tops, read_here, strict=True) if read for v in values}
    return [each for each in labels if each.value not in checked and each.bounds.classes is not None]


def look(bounds: LabelBounds, labels: Array) -> Array:
    """(2,): 1 if a label is out of bounds, else 0; and the first such label."""
    flat = jax.lax.stop_gradient(labels).ravel().astype(jnp.float32)
    outside = bounds.outside(flat)
    if not flat.size:
        return jnp.zeros(2, jnp.float32)
    return jnp.stack([outside.any().astype(jnp.float32), flat[jnp.argmax(outside)]])


def refuse(labels: Sequence[Labels], layers: Sequence[Layer], checks: Any) -> None:
    """Raises LayerError for the first of `labels` with a label out of bounds.

    checks (len(labels), 2): the result of `look` for each.
    """
    for each, (outside, label) in zip(labels, np.asarray(checks), strict=True):
        if outside:
            beside = [other.bounds for other in labels if other.value == each.value]
            layer = layers[each.layer]
            blob = layer.node.origin.bottoms[each.bottom]
            raise layer.error(replace(each.bounds, layer="").complaint(float(label), blob, beside))
