"""NetParameter + phase, level and stages → Graph: which layers there are, how they join, which parameters they share.

Imports no JAX: the submitter reads nets through this module too. Shapes and numbers come later, in `engine.net.net`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from engine import suggest
from engine.errors import LayerError, NetError
from engine.proto import caffe_pb2 as pb
from engine.proto import text


@dataclass(frozen=True, order=True)
class Value:
    """One version of a blob. An in-place layer reads version n and makes version n + 1."""

    blob: str
    version: int


@dataclass(frozen=True)
class Origin:
    """Where a layer was written: the `occurrence`-th of its name in `path`. Its line is looked up only for an error.

    `bottoms`: their names there, which errors use; splits give a layer others.
    """

    path: str | None
    name: str
    occurrence: int = 0
    bottoms: tuple[str, ...] = ()

    def __str__(self) -> str:
        """`FILE:LINE: `, `FILE: ` where the line cannot be told, or nothing for a net that came from no file."""
        if self.path is None:
            return ""
        lines = [line for name, line in text.layer_lines(self.path) if name == self.name]
        return f"{self.path}:{lines[self.occurrence]}: " if self.occurrence < len(lines) else f"{self.path}: "


@dataclass(frozen=True)
class Node:
    """A layer and its place in the net.

    `owners[i]` names the parameter (node, index) that the i-th `param` of this layer shares; it is absent for its own.
    """

    config: pb.LayerParameter
    bottoms: tuple[Value, ...]
    tops: tuple[Value, ...]
    origin: Origin
    owners: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.config.name

    def error(self, message: str) -> LayerError:
        return LayerError(f'{self.origin}layer "{self.config.name}" ({self.config.type}): {message}')


@dataclass(frozen=True)
class Graph:
    """The layers of one phase in the order of the file, splits included."""

    param: pb.NetParameter
    nodes: tuple[Node, ...]

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that no layer reads, in Caffe's order: by name."""
        open_blobs: set[str] = set()
        for node in self.nodes:
            open_blobs -= {v.blob for v in node.bottoms}
            open_blobs |= {v.blob for v in node.tops}
        return tuple(sorted(open_blobs))


def build(net: pb.NetParameter, state: pb.NetState, path: str | Path | None = None) -> Graph:
    """The graph of `net` (already upgraded) in `state`; `path` is the file that errors name.

    Raises NetError and LayerError for rules that contradict, unknown bottoms, tops made twice and sharing that
    cannot be.
    """
    kept = [(layer, origin) for layer, origin in _origins(net, path) if _included(layer, origin, state)]
    if not kept:
        phase = pb.Phase.Name(state.phase)
        raise NetError(f"{path or net.name}: no layer is left in phase {phase}; look at the include and exclude rules.")
    param = pb.NetParameter()
    param.CopyFrom(net)
    param.state.CopyFrom(state)
    for layer, _ in kept:
        layer.phase = layer.phase if layer.HasField("phase") else state.phase
    layers, origins = _insert_splits(kept)
    del param.layer[:]
    param.layer.extend(layers)
    return Graph(param, tuple(_join(list(param.layer), origins)))


def filter_net(net: pb.NetParameter, state: pb.NetState, path: str | Path | None = None) -> pb.NetParameter:
    """`net` with only the layers that its include and exclude rules keep in `state`."""
    kept = [layer for layer, origin in _origins(net, path) if _included(layer, origin, state)]
    out = pb.NetParameter()
    out.CopyFrom(net)
    del out.layer[:]
    out.layer.extend(kept)
    return out


def rule_met(rule: pb.NetStateRule, state: pb.NetState) -> bool:
    """Whether `state` has the phase, level and stages that `rule` names."""
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and all(stage in stages for stage in rule.stage)
        and not any(stage in stages for stage in rule.not_stage)
    )


def _origins(net: pb.NetParameter, path: str | Path | None) -> Iterator[tuple[pb.LayerParameter, Origin]]:
    seen: Counter[str] = Counter()
    for layer in net.layer:
        copy = pb.LayerParameter()
        copy.CopyFrom(layer)
        yield copy, Origin(str(path) if path is not None else None, layer.name, seen[layer.name], tuple(layer.bottom))
        seen[layer.name] += 1


def _included(layer: pb.LayerParameter, origin: Origin, state: pb.NetState) -> bool:
    if layer.include and layer.exclude:
        raise LayerError(f'{origin}layer "{layer.name}" has include and exclude rules; give it one kind or the other.')
    if layer.include:
        return any(rule_met(rule, state) for rule in layer.include)
    return not any(rule_met(rule, state) for rule in layer.exclude)


def _insert_splits(
    layers: list[tuple[pb.LayerParameter, Origin]],
) -> tuple[list[pb.LayerParameter], list[Origin]]:
    """Caffe's splits: a top that is read more than once (its loss weight counts as a reader) gets a Split layer.

    Gradients would sum without them in JAX; they are kept because their blobs are visible (`net.blobs`, logs, files).
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
    taken: Counter[tuple[int, int]] = Counter(top for top, weight in weights.items() if weight)
    out: list[pb.LayerParameter] = []
    origins: list[Origin] = []
    for i, (layer, origin) in enumerate(layers):
        for j in range(len(layer.bottom)):
            top = source[i, j]
            if readers[top] > 1:
                maker = layers[top[0]][0]
                layer.bottom[j] = f"{_split_name(maker, top[1])}_{taken[top]}"
                taken[top] += 1
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
    meant = " or ".join(f'"{name}"' for name in near)
    advice = f"Did you mean {meant}?" if near else "Layers read what layers above them make."
    return LayerError(
        f'{origin}layer "{layer.name}" ({layer.type}): no layer before it makes its bottom "{blob}". {advice}'
    )


def _join(layers: list[pb.LayerParameter], origins: list[Origin]) -> Iterator[Node]:
    """Versions of blobs and owners of shared parameters, layer by layer."""
    version: dict[str, int] = {}
    maker: dict[str, str] = {}
    owner: dict[str, tuple[int, int]] = {}
    owned_spec: dict[str, pb.ParamSpec] = {}
    readers: defaultdict[str, list[str]] = defaultdict(list)
    for i, (layer, origin) in enumerate(zip(layers, origins, strict=True)):
        node = Node(layer, (), (), origin)
        if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
            raise node.error(
                f"{len(layer.propagate_down)} propagate_down for {len(layer.bottom)} bottoms; give one each, or none."
            )
        bottoms = tuple(Value(blob, version[blob]) for blob in layer.bottom)
        tops = []
        for j, blob in enumerate(layer.top):
            in_place = j < len(layer.bottom) and layer.bottom[j] == blob
            if blob in version and not in_place:
                raise node.error(_made_twice(blob, maker[blob], readers[blob], layer))
            version[blob] = version.get(blob, -1) + 1
            maker.setdefault(blob, layer.name)
            tops.append(Value(blob, version[blob]))
        owners = {}
        for j, spec in enumerate(layer.param):
            if not spec.name:
                continue
            if spec.name in owner:
                owners[j] = owner[spec.name]
                _merge_multipliers(node, spec, owned_spec[spec.name], layers[owner[spec.name][0]].name)
            else:
                owner[spec.name], owned_spec[spec.name] = (i, j), spec
        if layer.name == origin.name:  # not a split, which stands where the layer that it follows was written
            for blob in origin.bottoms:
                readers[blob].append(layer.name)
        yield Node(layer, bottoms, tuple(tops), origin, owners)


def _made_twice(blob: str, maker: str, readers: list[str], layer: pb.LayerParameter) -> str:
    if any(bottom.startswith(f"{blob}_{maker}_") for bottom in layer.bottom):
        others = " and ".join(f'"{r}"' for r in readers) or "another layer"
        return f'it computes "{blob}" in place, and {others} read "{blob}" as well; give it a top of another name.'
    return f'its top "{blob}" is made by layer "{maker}" already; give one of them another name.'


def _merge_multipliers(node: Node, spec: pb.ParamSpec, owned: pb.ParamSpec, owner: str) -> None:
    """A shared parameter has one lr_mult and one decay_mult: whichever sharer gives it, gives it for all."""
    for what in ("lr_mult", "decay_mult"):
        if not spec.HasField(what):
            continue
        here, there = getattr(spec, what), getattr(owned, what)
        if owned.HasField(what) and here != there:
            raise node.error(
                f'the shared parameter "{spec.name}" has {what} {here:g} here and {there:g} in layer "{owner}"; '
                "give it once, or the same."
            )
        setattr(owned, what, here)
