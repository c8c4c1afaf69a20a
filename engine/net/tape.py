"""The gradient of a net that cannot be compiled as one: the forward and backward pass of each span are compiled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from engine.graph.graph import Value
from engine.layers.base import Array
from engine.net import spans
from engine.net.jitted import on_cpu
from engine.net.needs_backward import NeedsBackward
from engine.net.parameters import Param
from engine.net.spans import Arguments, Outputs, Span, Values

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Axis permutations: from channels-last to the net's layout (channels first), and from the net's to channels-last."""

Computed = Any
"""An array on the device, or on the host if a layer that computes there made it."""


class Gradients(NamedTuple):
    """Gradients of parameters by number, of values, and of probes by layer and bottom."""

    params: dict[int, Computed]
    values: dict[Value, Computed]
    probes: dict[tuple[int, int], Computed]


class Differentiated(spans.Runs, Protocol):
    """The part of a net that this module needs to take gradients of its spans."""

    params: list[Param]
    param_ids: list[list[int]]
    needs_backward: NeedsBackward

    @property
    def run_span(self) -> Callable[[Span, Arguments], Outputs]: ...

    @property
    def push_span(self) -> Callable[[Span, Arguments], "tuple[Values, dict[int, Array], Residuals]"]: ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("computed",),
    meta_fields=("channels_last", "structure", "places", "tops"),
)
@dataclass(frozen=True)
class Residuals:
    """What a compiled span keeps for its backward pass: JAX's residuals, except those that are the span's arguments.

    channels_last: whether residuals with four axes are kept channels-last: layers on a CPU compute them that way, and
    otherwise both programs would transpose them. structure: the pytree structure of the pullback. places: for each of
    its leaves, which leaf of the span's arguments it is; None for what the span has computed. tops: those whose
    gradients the backward pass takes.
    """

    computed: list[Array]
    channels_last: bool
    structure: Any
    places: tuple[int | None, ...]
    tops: tuple[tuple[Value, jax.ShapeDtypeStruct], ...]


def push(net: Differentiated, span: Span, arguments: Arguments) -> tuple[Values, dict[int, Array], Residuals]:
    """`spans.run_compiled`, and what `pull` needs besides the span's arguments. To be compiled.

    It never returns an argument, not even as a residual: each one, parameters included, would be copied.
    """
    tops, pullback, (values, updates) = _linearized(net, span, arguments)
    leaves, structure = jax.tree.flatten(pullback)
    numbers = {id(x): n for n, x in enumerate(jax.tree.leaves(arguments))}
    places = tuple(numbers.get(id(leaf)) for leaf in leaves)
    last = on_cpu()
    computed = [_turned(leaf, LAST if last else ()) for leaf, at in zip(leaves, places, strict=True) if at is None]
    shapes = tuple((v, jax.ShapeDtypeStruct(x.shape, x.dtype)) for v, x in tops.items())
    return spans.handed_on(net, span, values), updates, Residuals(computed, last, structure, places, shapes)


def _turned(x: Array, axes: tuple[int, ...]) -> Array:
    return jnp.transpose(x, axes) if x.ndim == len(axes) else x


@jax.jit
def pull(residuals: Residuals, argument_leaves: Sequence[Array], diffs: Mapping[Value, Computed]) -> Gradients:
    """Gradients of a span's arguments, from those of its tops. argument_leaves: those that `places` names."""
    computed = (_turned(x, FIRST if residuals.channels_last else ()) for x in residuals.computed)
    arguments = iter(argument_leaves)
    leaves = [next(computed if place is None else arguments) for place in residuals.places]
    pullback = jax.tree.unflatten(residuals.structure, leaves)
    return Gradients(
        *pullback({v: diffs[v] if v in diffs else jnp.zeros(x.shape, x.dtype) for v, x in residuals.tops})[0]
    )


def _linearized(
    net: Differentiated, span: Span, arguments: Arguments
) -> tuple[Values, Callable[[Values], Any], tuple[Values, dict[int, Array]]]:
    """The tops whose gradients are taken, the pullback from these to the arguments, and all that the span makes."""
    outputs = _wanted(net, span)
    needs, nodes = net.needs_backward.bottoms, net.graph.nodes
    layers = range(span.start, span.end + 1)
    read = {v for i in layers for v, need in zip(nodes[i].bottoms, needs[i], strict=True) if need}
    primals = Gradients(
        {k: x for k, x in arguments.params.items() if net.params[k].learned},
        {v: x for v, x in arguments.values.items() if v in read},
        dict(arguments.probes),
    )

    def run(primals: Gradients) -> tuple[Values, tuple[Values, dict[int, Array]]]:
        params, values = {**arguments.params, **primals.params}, {**arguments.values, **primals.values}
        all_values, updates = spans.run(net, span, Arguments(params, values, arguments.key, primals.probes))
        return {v: all_values[v] for v in outputs}, (all_values, updates)

    return jax.vjp(run, primals, has_aux=True)


def _wanted(net: Differentiated, span: Span) -> list[Value]:
    """The tops of a span through which gradients enter it: losses, or values that later layers send gradients to."""
    needs, nodes = net.needs_backward, net.graph.nodes
    rows = zip(nodes[span.end + 1 :], needs.bottoms[span.end + 1 :], strict=True)
    read = {v for node, bottom_needs in rows for v, need in zip(node.bottoms, bottom_needs, strict=True) if need}
    layers = [i for i in range(span.start, span.end + 1) if needs.layers[i]]
    return [v for i in layers for v, w in zip(net.tops[i], net.loss_weights[i], strict=True) if w or v in read]


@dataclass(frozen=True)
class Tape:
    """Records the spans that a pass runs, and how to take gradients back through each."""

    _pulls: list[Callable[[Mapping[Value, Computed]], Gradients | None]] = field(default_factory=list)
    _losses: dict[Value, np.ndarray] = field(default_factory=dict)

    def run(self, net: Differentiated, span: Span, arguments: Arguments) -> Outputs:
        """Runs a span, compiled unless it computes on the host, and records it."""
        host = net.layers[span.start].host
        if not _wanted(net, span):
            return spans.run(net, span, arguments) if host else net.run_span(span, arguments)
        if host:
            values, updates = spans.run(net, span, arguments)
            self._pulls.append(partial(_pulled_on_host, net, span.start, arguments))
        else:
            values, updates, residuals = net.push_span(span, arguments)
            leaves = jax.tree.leaves(arguments)
            self._pulls.append(partial(_pulled, residuals, [leaves[n] for n in residuals.places if n is not None]))
        for i in range(span.start, span.end + 1):
            for v, weight in zip(net.tops[i], net.loss_weights[i], strict=True):
                if weight:
                    self._losses[v] = np.full(values[v].shape, weight, values[v].dtype)
        return values, updates

    def gradients(self) -> Gradients:
        """The gradients of the loss by parameters and probes. The recorded spans are freed as they are used."""
        params: dict[int, Computed] = {}
        probes: dict[tuple[int, int], Computed] = {}
        diffs: dict[Value, Computed] = dict(self._losses)
        while self._pulls:
            span_gradients = self._pulls.pop()(diffs)
            if span_gradients is not None:
                params.update((k, params[k] + x if k in params else x) for k, x in span_gradients.params.items())
                diffs.update(span_gradients.values)
                probes.update(span_gradients.probes)
        return Gradients(params, {}, probes)


def _pulled(
    residuals: Residuals, argument_leaves: Sequence[Array], diffs: Mapping[Value, Computed]
) -> Gradients | None:
    own = {v: diffs[v] for v, _ in residuals.tops if v in diffs}
    return pull(residuals, argument_leaves, own) if own else None


def _pulled_on_host(
    net: Differentiated, i: int, arguments: Arguments, diffs: Mapping[Value, Computed]
) -> Gradients | None:
    """The gradients of layer `i`, which computes on the host and is a span by itself; None if none reach its tops."""
    params, values = arguments.params, arguments.values
    own = [diffs.get(v) for v in net.tops[i]]
    if all(diff is None for diff in own):
        return None
    numbers, bottoms, needed = net.param_ids[i], net.graph.nodes[i].bottoms, net.needs_backward.bottoms[i]
    to_params, to_bottoms = net.layers[i].host_backward(
        [params[k] for k in numbers], [values[v] for v in bottoms], needed, own
    )
    by_bottom = {j: x.astype(values[bottoms[j]].dtype) for j, x in enumerate(to_bottoms) if needed[j]}
    return Gradients(
        {k: x.reshape(params[k].shape) for k, x in zip(numbers, to_params, strict=True) if net.params[k].learned},
        {bottoms[j]: x for j, x in by_bottom.items()},
        {(i, j): x for j, x in by_bottom.items()},
    )
