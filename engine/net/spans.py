"""Spans: ranges of a net's layers that can be compiled as one, and what each takes from outside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import jax

from engine.graph.graph import Graph, Node, Value
from engine.layers.base import Array, Layer, SourceLayer
from engine.net.labels import Labels
from engine.net.steps import Step, single

Values = dict[Value, Array]
Params = Mapping[int, Array]
"""Parameters by their number in the net."""


Probes = Mapping[tuple[int, int], Array]
"""Zeros that are added to bottom j of layer i, by (i, j): their gradient is the gradient of that bottom."""

Outputs = tuple[Values, dict[int, Array]]
"""The tops that layers have made, and new values of state parameters."""


@dataclass(frozen=True)
class Span:
    """Layers start … end (inclusive), run as one. keep: whether to return all their tops."""

    start: int
    end: int
    keep: bool = False


@partial(jax.tree_util.register_dataclass, data_fields=("params", "values", "key", "probes"), meta_fields=())
@dataclass(frozen=True)
class Arguments:
    """The arguments of a span: its parameters, the values that `reads` lists, a random key, probes of its bottoms."""

    params: Params
    values: Mapping[Value, Array]
    key: Array | None = None
    probes: Probes = field(default_factory=dict)

    @property
    def traced(self) -> bool:
        """Whether JAX is tracing these; then the span is part of a larger program, and has no options of its own."""
        return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(self))


class Runs(Protocol):
    """The part of a net that this module needs to run its layers."""

    graph: Graph
    layers: list[Layer]
    tops: list[tuple[Value, ...]]
    loss_weights: list[list[float]]
    output_names: list[str]

    @property
    def unchecked_labels(self) -> list[Labels]: ...

    def compute(
        self, step: Step, params: Params, bottoms: Sequence[Array], key: Array | None
    ) -> tuple[list[Array], dict[int, Array]]: ...


def spans(layers: Sequence[Layer], start: int, end: int, *, one_by_one: bool = False) -> Iterator[tuple[int, int]]:
    """Splits layers start … end into ranges (inclusive).

    A layer that computes on the host is a range by itself; a dynamic layer begins a range, since the shapes of the
    layers after it follow from its values.
    """
    if start > end:
        return
    first = start
    for i in range(start, end + 1):
        if i > first and (one_by_one or layers[i].dynamic or layers[i - 1].host):
            yield first, i - 1
            first = i
    yield first, end


def reads(
    layers: Sequence[Layer], nodes: Sequence[Node], tops: Sequence[Sequence[Value]], start: int, end: int
) -> list[Value]:
    """The values that layers start … end take from outside: the tops of sources, and what earlier layers made."""
    computed: set[Value] = set()
    outside: dict[Value, None] = {}
    for i in range(start, end + 1):
        own = tops[i] if isinstance(layers[i], SourceLayer) else nodes[i].bottoms
        outside.update(dict.fromkeys(v for v in own if v not in computed))
        computed.update(tops[i])
    return list(outside)


def needed_after(net: Runs, start: int, end: int) -> set[Value]:
    """The values that a pass still needs after layers start … end, to be read by later layers or returned."""
    nodes = net.graph.nodes
    read = {v for node in nodes[end + 1 :] for v in node.bottoms}
    sink_bottoms = {v for i in range(start, end + 1) if net.layers[i].sink for v in nodes[i].bottoms}
    tops = [row for i in range(start, end + 1) for row in zip(net.tops[i], net.loss_weights[i], strict=True)]
    returned = {v for v, weight in tops if weight or v.blob in net.output_names}
    return read | sink_bottoms | returned | {each.value for each in net.unchecked_labels}


def handed_on(net: Runs, span: Span, values: Values) -> Values:
    """The tops that a compiled span returns: those that are still needed after it, or all with `keep`.

    The tops of sources, which it was given, are left out: returning one would copy it, as it copies every returned
    value that the gradient needs too.
    """
    layers = range(span.start, span.end + 1)
    source_tops = {v for i in layers if isinstance(net.layers[i], SourceLayer) for v in net.tops[i]}
    returned = values.keys() if span.keep else needed_after(net, span.start, span.end)
    return {v: x for v, x in values.items() if v in returned and v not in source_tops}


def run_compiled(net: Runs, span: Span, arguments: Arguments) -> Outputs:
    """`run`, to be compiled for each span; returns only the tops of `handed_on`."""
    values, updates = run(net, span, arguments)
    return handed_on(net, span, values), updates


def run(net: Runs, span: Span, arguments: Arguments, joined: Sequence[Step] = ()) -> Outputs:
    """Runs the layers of a span on the values that `reads` lists: all their tops, and new values of state parameters.

    joined: the layers as steps, some of which compute several as one and leave out the tops in between; if empty, each
    layer runs by itself.
    """
    values: Values = {}
    updates: dict[int, Array] = {}  # layers that share state see the updates of earlier ones, and add to them
    for step in joined or single(net.layers, span.start, span.end):
        i, node = step.first, net.graph.nodes[step.first]
        if isinstance(step.layer, SourceLayer):
            values.update({v: arguments.values[v] for v in net.tops[i]})
            continue
        bottoms = [values[v] if v in values else arguments.values[v] for v in node.bottoms]
        for j, propagate in enumerate(node.config.propagate_down):
            bottoms[j] = bottoms[j] if propagate else jax.lax.stop_gradient(bottoms[j])
        bottoms = [
            b + arguments.probes[i, j].astype(b.dtype) if (i, j) in arguments.probes else b
            for j, b in enumerate(bottoms)
        ]
        tops, changed = net.compute(step, {**arguments.params, **updates}, bottoms, arguments.key)
        values.update(zip(net.tops[step.last], tops, strict=True))
        updates.update(changed)
    return values, updates
