"""Inserts Caffe's splits: each of several layers that read a blob gets it under a name of its own."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from engine import suggest
from engine.errors import LayerError
from engine.graph.graph import Origin
from engine.proto import caffe_pb2 as pb


def insert(
    layers: list[tuple[pb.LayerParameter, Origin]],
) -> tuple[list[pb.LayerParameter], list[Origin]]:
    """Adds a Split layer after each top that is read more than once; a loss weight counts as a reader.

    JAX sums gradients without them; they exist because their blobs are visible (`net.blobs`, logs, files).
    Raises LayerError for a bottom that no earlier layer makes.
    """
    source: dict[tuple[int, int], tuple[int, int]] = {}
    readers: Counter[tuple[int, int]] = Counter()
    weights: dict[tuple[int, int], float] = {}
    last: dict[str, tuple[int, int]] = {}
    for i, (layer, origin) in enumerate(layers):
        for j, blob in enumerate(layer.bottom):
            if blob not in last:
                raise _unknown_bottom(layer, origin, j, last)
            source[i, j] = last[blob]
            readers[last[blob]] += 1
        for j, blob in enumerate(layer.top):
            last[blob] = (i, j)
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            weights[i, j] = weight
            readers[i, j] += weight != 0
    copies: Counter[tuple[int, int]] = Counter(top for top, weight in weights.items() if weight)
    out: list[pb.LayerParameter] = []
    origins: list[Origin] = []
    for i, (layer, origin) in enumerate(layers):
        for j in range(len(layer.bottom)):
            top = source[i, j]
            if readers[top] > 1:
                maker = layers[top[0]][0]
                layer.bottom[j] = f"{_split_name(maker, top[1])}_{copies[top]}"
                copies[top] += 1
        out.append(layer)
        origins.append(origin)
        for j in range(len(layer.top)):
            if readers[i, j] > 1:
                out.append(_split(layer, j, readers[i, j], weights.get((i, j), 0.0)))
                origins.append(replace(origin, bottoms=(layer.top[j],)))
                if weights.get((i, j)):
                    layer.loss_weight[j] = 0  # the split's first top carries it from here on
    return out, origins


def _split_name(maker: pb.LayerParameter, top: int) -> str:
    return f"{maker.top[top]}_{maker.name}_{top}_split"


def _split(maker: pb.LayerParameter, top: int, copies: int, loss_weight: float) -> pb.LayerParameter:
    name = _split_name(maker, top)
    split = pb.LayerParameter(name=name, type="Split", bottom=[maker.top[top]], phase=maker.phase)
    split.top.extend(f"{name}_{k}" for k in range(copies))
    if loss_weight:
        split.loss_weight.extend([loss_weight] + [0.0] * (copies - 1))
    return split


def _unknown_bottom(layer: pb.LayerParameter, origin: Origin, index: int, known: Iterable[str]) -> LayerError:
    blob = layer.bottom[index]
    near = suggest.closest(blob, known, 3)
    names = " or ".join(f'"{name}"' for name in near)
    advice = f"Did you mean {names}?" if near else "A layer can only read tops of layers above it."
    return LayerError(
        f'{origin}layer "{layer.name}" ({layer.type}): no layer before it makes its bottom "{blob}". {advice}'
    )
