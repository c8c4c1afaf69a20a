"""Builds a Graph from a NetParameter and a phase, level and stages: the layers, their connections, shared parameters.

Shapes and values come later, in `engine.net`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from engine.errors import LayerError, NetError
from engine.graph import splits
from engine.graph.graph import Graph, Node, Origin, Value
from engine.proto import caffe_pb2 as pb


def build_graph(net: pb.NetParameter, state: pb.NetState, path: str | Path | None = None) -> Graph:
    """The graph of `net` (already upgraded) in `state`; `path` is the file that errors name.

    Raises NetError and LayerError for contradictory rules, unknown bottoms, tops made twice, and impossible sharing.
    """
    included = [(layer, origin) for layer, origin in _origins(net, path) if _included(layer, origin, state)]
    if not included:
        phase = pb.Phase.Name(state.phase)
        raise NetError(f"{path or net.name}: no layer is left in phase {phase}; check the include and exclude rules.")
    param = pb.NetParameter()
    param.CopyFrom(net)
    param.state.CopyFrom(state)
    for layer, _ in included:
        layer.phase = layer.phase if layer.HasField("phase") else state.phase
    layers, origins = splits.insert(included)
    del param.layer[:]
    param.layer.extend(layers)
    return Graph(param, tuple(_join(list(param.layer), origins)))


def filter_net(net: pb.NetParameter, state: pb.NetState, path: str | Path | None = None) -> pb.NetParameter:
    """`net` with only the layers that its include and exclude rules keep in `state`."""
    included = [layer for layer, origin in _origins(net, path) if _included(layer, origin, state)]
    out = pb.NetParameter()
    out.CopyFrom(net)
    del out.layer[:]
    out.layer.extend(included)
    return out


def _rule_met(rule: pb.NetStateRule, state: pb.NetState) -> bool:
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
    """Copies of the layers of `net`, each with its origin."""
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
        return any(_rule_met(rule, state) for rule in layer.include)
    return not any(_rule_met(rule, state) for rule in layer.exclude)


def _join(layers: list[pb.LayerParameter], origins: list[Origin]) -> Iterator[Node]:
    """The nodes, with the versions of their blobs and the owners of their shared parameters."""
    version: dict[str, int] = {}
    maker: dict[str, str] = {}
    owner: dict[str, tuple[int, int]] = {}
    owned_spec: dict[str, pb.ParamSpec] = {}
    readers: defaultdict[str, list[str]] = defaultdict(list)
    beside = frozenset(layer.type for layer in layers)
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
            maker[blob], readers[blob] = layer.name, []
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
        if layer.name == origin.name:  # not a split, whose origin is the layer before it
            for blob in origin.bottoms:
                if blob not in layer.top:
                    readers[blob].append(layer.name)
        yield Node(layer, bottoms, tuple(tops), origin, owners, beside)


def _made_twice(blob: str, maker: str, readers: list[str], layer: pb.LayerParameter) -> str:
    """The message for a top that exists already. A split of it means that the layer was to work in place."""
    if any(bottom.startswith(f"{blob}_{maker}_") for bottom in layer.bottom):
        others = " and ".join(f'"{r}"' for r in readers) or "another layer"
        return f'it computes "{blob}" in place, and {others} read "{blob}" as well; give it a top of another name.'
    return f'its top "{blob}" is made by layer "{maker}" already; give one of them another name.'


def _merge_multipliers(node: Node, spec: pb.ParamSpec, owned: pb.ParamSpec, owner: str) -> None:
    """Merges the multipliers of a shared parameter: it has one lr_mult and one decay_mult, which any sharer may set.

    Raises LayerError if two set different values.
    """
    for what in ("lr_mult", "decay_mult"):
        if not spec.HasField(what):
            continue
        value, owner_value = getattr(spec, what), getattr(owned, what)
        if owned.HasField(what) and value != owner_value:
            raise node.error(
                f'the shared parameter "{spec.name}" has {what} {value:g} here and {owner_value:g} in layer "{owner}"; '
                "give it once, or give the same value."
            )
        setattr(owned, what, value)
