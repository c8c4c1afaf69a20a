"""Graph → Net: shapes, parameters and one pure function `forward(params, inputs, key)`."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from engine.data.label_bounds import LabelBounds
from engine.errors import LayerError
from engine.graph import known_layers
from engine.graph.build import build_graph
from engine.graph.graph import Graph, Value
from engine.layers import fillers
from engine.layers.base import Array, Context, Layer, Shape, SourceLayer
from engine.layers.registry import create, known
from engine.net import labels, parameters, spans, steps, total_loss
from engine.net.assembly import Unchanged, assemble
from engine.net.jitted import jitted
from engine.net.last_used import LastUsed
from engine.net.needs_backward import NeedsBackward, needs_backward
from engine.net.parameters import cleared, shaped
from engine.net.sized import Sized
from engine.net.spans import Arguments, Probes, Span
from engine.net.steps import Step
from engine.net.tape import Tape, push
from engine.proto import caffe_pb2 as pb

PRODUCT = "product"
"""The name by which `jax.checkpoint` knows products with weights: the blobs that take longest to compute."""

SIZES = 64
"""For this many sets of input sizes, those used most recently, a net's layers are kept set up."""


class Forward(NamedTuple):
    """The result of a forward pass.

    loss: Σ loss_weight · Σ top, a float32 scalar. outputs: the blobs that no layer reads. updates: new values of state
    parameters by their number. sinks: the bottoms of each layer that hands them to the host. values: every version of
    every blob, with `keep`; else empty. labels (n, 2): see `Net.check_labels`.
    """

    loss: Array
    outputs: dict[str, Array]
    updates: dict[int, Array]
    sinks: dict[str, list[Array]]
    values: dict[Value, Array]
    labels: Array


class Net:
    """A net with known shapes. It holds no arrays: `forward` takes the parameters as a list in the order of `params`.

    layers: the layers, splits included, in the file's order. shapes: the shape of every version of every blob.
    param_ids: for each layer, the number in `params` of each of its parameters. model_params: the numbers of those
    that models hold. recurrent_state: the numbers of what layers remember from pass to pass. loss_weights: for each
    layer, one weight per top.
    """

    def __init__(
        self,
        graph: Graph,
        shapes: Mapping[str, Shape] | None = None,
        layers: Sequence[Layer] | None = None,
        precision: str = "float32",
        unchanged: Unchanged | None = None,
    ) -> None:
        """shapes: override those of sources' tops, by blob name. layers: set up instead of new ones. unchanged: layers
        that are not set up again.

        precision: "float32", or the lower precision ("bfloat16") for layers that declare they can compute in it;
        parameters, gradients, losses and outputs stay float32.
        Raises LayerError if layers don't fit together.
        """
        self.graph, self.precision = graph, precision
        self._known_shapes = dict(shapes or {})
        self._sizes: LastUsed[Any, Net] = LastUsed(SIZES)
        if not layers:
            known_layers.check(graph, known())
        self._built = assemble(graph.nodes, layers or map(create, graph.nodes), self._known_shapes, unchanged)
        self.layers, self.tops, self.loss_weights, self.shapes = self._built
        declared, self.param_ids = parameters.declared(graph.nodes, self.layers)
        recurrent, self.recurrent_ids = parameters.recurrent(self.layers, len(declared))
        self.params = declared + recurrent
        self.model_params = range(len(declared))
        self.recurrent_state = range(len(declared), len(self.params))
        self.output_names = list(graph.outputs)
        self.needs_backward = self._needs_backward()
        self._known_shapes = {**self._source_shapes(), **self._known_shapes}
        self._sizes.put(tuple(self._known_shapes.items()), self)

    @classmethod
    def from_param(
        cls,
        param: pb.NetParameter,
        phase: int = pb.TRAIN,
        level: int = 0,
        stages: Sequence[str] = (),
        path: str | Path | None = None,
    ) -> Self:
        """The net that an upgraded NetParameter describes for `phase`, `level` and `stages`."""
        state = pb.NetState(phase=phase, level=level, stage=stages)  # type: ignore[arg-type]
        return cls(build_graph(param, state, path))

    def resized(self, shapes: Mapping[str, Shape], first: int = 0, last: int | None = None) -> "Net":
        """This net for other shapes of its sources' and dynamic layers' tops; itself if they are the same.

        first, last: the layers that will run. If layers after these, or after the first dynamic one among these, don't
        fit the new shapes, they keep their old ones. Raises LayerError if an earlier layer does not fit, or if the
        shape of a parameter would change.
        """
        new_shapes, end = {**self._known_shapes, **shapes}, len(self.layers) - 1
        sizes = tuple(new_shapes.items())
        until = next((i for i in range(first, (end if last is None else last) + 1) if self.layers[i].dynamic), last)
        for key in (sizes, (sizes, until)):
            if (net := self._sizes.get(key)) is not None:
                return net
        try:
            return self._set_up(sizes, new_shapes, end)
        except LayerError:
            if until is None or until == end:
                raise
            return self._set_up((sizes, until), new_shapes, until)

    def _set_up(self, key: Any, shapes: Mapping[str, Shape], until: int) -> "Net":
        layers = [layer.blank() if i <= until else layer for i, layer in enumerate(self.layers)]
        net = Net(self.graph, shapes, layers, self.precision, Unchanged(self._built, until))
        parameters.check_same(self.layers, net.layers)
        net._sizes = self._sizes
        return self._sizes.put(key, net)

    def _source_shapes(self) -> dict[str, Shape]:
        sources = (tops for layer, tops in zip(self.layers, self.tops, strict=True) if isinstance(layer, SourceLayer))
        return {v.blob: self.shapes[v] for tops in sources for v in tops}

    def _needs_backward(self) -> NeedsBackward:
        learns = [any(self.params[k].learned for k in ids) for ids in self.param_ids]
        forced = None
        if self.graph.param.force_backward:
            rows = zip(self.layers, self.graph.nodes, strict=True)
            forced = [[layer.propagates_to(j) for j in range(len(node.bottoms))] for layer, node in rows]
        return needs_backward(self.graph.nodes, self.tops, learns, self.loss_weights, forced)

    def check_backward(self, first: int = 0, last: int | None = None) -> None:
        """Raises LayerError if the gradient of layers first … last would have to flow through labels or indices."""
        for i in range(first, len(self.layers) if last is None else last + 1):
            layer, needed = self.layers[i], self.needs_backward.bottoms[i]
            for j in layer.no_gradient:
                if j < len(needed) and needed[j]:
                    raise layer.error(
                        f"{layer.bottom(j)} depends on parameters that learn, but is read as labels or indices, which "
                        "have no gradient. Are its bottoms in the right order? If so, give one propagate_down per "
                        "bottom: false for this one."
                    )

    # What it is

    @property
    def name(self) -> str:
        return self.graph.param.name

    @property
    def phase(self) -> int:
        return self.graph.param.state.phase

    @property
    def layer_names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    @property
    def blob_shapes(self) -> dict[str, Shape]:
        """The shape of every blob (its last version), in the order in which they are made."""
        last: dict[str, Shape] = {}
        for value, shape in self.shapes.items():
            last[value.blob] = shape
        return last

    @property
    def input_names(self) -> list[str]:
        """The tops of sources that read no data: the caller has to pass them."""
        return [v.blob for layer, tops in zip(self.layers, self.tops, strict=True) if _is_input(layer) for v in tops]

    @property
    def sources(self) -> list[SourceLayer]:
        """The layers that read data themselves."""
        return [layer for layer in self.layers if isinstance(layer, SourceLayer) and not _is_input(layer)]

    @property
    def output_weights(self) -> dict[str, float]:
        """The loss weight of each output, 0 if it is not a loss."""
        weights = {
            v.blob: w
            for tops, row in zip(self.tops, self.loss_weights, strict=True)
            for v, w in zip(tops, row, strict=True)
        }
        return {name: weights[name] for name in self.output_names}

    @cached_property
    def label_bounds(self) -> Mapping[str, Sequence[LabelBounds]]:
        """For each blob of a source that layers read as class labels: the labels that each of these layers allows."""
        return labels.by_source(self._labels, self.layers, self.tops)

    @cached_property
    def unchecked_labels(self) -> list[labels.Labels]:
        """The bottoms with labels that no data layer has checked; `forward` checks them."""
        return labels.unchecked(self._labels, self.layers, self.tops)

    @cached_property
    def _labels(self) -> list[labels.Labels]:
        return labels.read(self.graph.nodes, self.layers, self.tops)

    def check_labels(self, checks: Any) -> None:
        """Raises LayerError if `checks`, the `Forward.labels` of a pass, reports a label that is no class."""
        labels.refuse(self.unchecked_labels, self.layers, checks)

    # What it does

    def init(self, seed: int) -> list[np.ndarray]:
        """Initial values of `params` (float32) from their fillers; the same seed gives the same on every machine."""
        return [
            fillers.fill(p.decl.filler, p.shape, fillers.generator(seed, i)) if p.decl.value is None else p.decl.value
            for i, p in enumerate(self.params)
        ]

    def forward(
        self,
        params: Sequence[Array],
        inputs: Mapping[str, Array],
        key: Array | None = None,
        *,
        keep: bool = False,
        probes: Probes | None = None,
        tape: Tape | None = None,
    ) -> Forward:
        """One forward pass; pure, for `jax.jit`. inputs: every top of every source by name. key: for random layers.

        keep: return all blobs, see `Forward.values`. tape: for a net that cannot be compiled as one; it can give the
        loss's gradients afterwards. probes[i, j]: zeros added to bottom j of layer i, to get its gradient.
        If the inputs have other shapes than the net was built for, its layers are set up again, once for each set.
        """
        net = self.resized({name: tuple(value.shape) for name, value in inputs.items()})
        return net._forward(params, inputs, key, keep, probes or {}, tape)

    def _forward(
        self,
        params: Sequence[Array],
        inputs: Mapping[str, Array],
        key: Array | None,
        keep: bool,
        probes: Probes,
        tape: Tape | None,
    ) -> Forward:
        rows = list(zip(self.layers, self.graph.nodes, self.tops, self.loss_weights, strict=True))
        values = {v: inputs[v.blob] for layer, _, tops, _ in rows if isinstance(layer, SourceLayer) for v in tops}
        updates: dict[int, Array] = {}
        joined = () if keep or probes else steps.joined(self.layers, self.graph.nodes, self.tops, self.precision)
        net = self
        for start, end in spans.spans(self.layers, 0, len(self.layers) - 1):
            current = [updates.get(k, p) for k, p in enumerate(params)]
            net = net.measured(start, current, [values[v] for v in self.graph.nodes[start].bottoms])
            span_tops, changed = net._span(Span(start, end, keep), current, values, key, probes, joined, tape)
            net = net.grown(start, span_tops)
            values.update(span_tops)
            updates.update(changed)
        values = {v: values[v] for tops in self.tops for v in tops if v in values}  # in the net's order
        sinks = {layer.name: [values[v] for v in node.bottoms] for layer, node, _, _ in rows if layer.sink}
        weighted = [(values[v], w) for _, _, tops, weights in rows for v, w in zip(tops, weights, strict=True) if w]
        loss = total_loss.total([top for top, _ in weighted], tuple(w for _, w in weighted))
        outputs = {v.blob: total_loss.full(top) for v, top in values.items() if v.blob in self.output_names}
        looked = [labels.look(each.bounds, values[each.value]) for each in self.unchecked_labels]
        checks = jnp.stack(looked) if looked else jnp.zeros((0, 2), jnp.float32)
        return Forward(loss, outputs, updates, sinks, values if keep else {}, checks)

    def _span(
        self,
        span: Span,
        params: Sequence[Array],
        values: Mapping[Value, Array],
        key: Array | None,
        probes: Probes,
        joined: Sequence[Step],
        tape: Tape | None,
    ) -> spans.Outputs:
        """The tops that a span hands on, and new values of state parameters; compiled here if the net is not."""
        start, end = span.start, span.end
        rows = [*self.param_ids[start : end + 1], *self.recurrent_ids[start : end + 1]]
        arguments = Arguments(
            {k: params[k] for ids in rows for k in ids},
            {v: values[v] for v in spans.reads(self.layers, self.graph.nodes, self.tops, start, end)},
            key,
            {at: probe for at, probe in probes.items() if start <= at[0] <= end},
        )
        if tape:
            return tape.run(self, span, arguments)
        if self.dynamic and not self.layers[start].host and not arguments.traced:
            return self.run_span(span, arguments)
        return spans.run(self, span, arguments, joined)

    @cached_property
    def run_span(self) -> Callable[[Span, Arguments], spans.Outputs]:
        """`spans.run_compiled`, compiled."""
        return jitted(partial(spans.run_compiled, self), static_argnums=0)

    @cached_property
    def push_span(self) -> Callable[..., Any]:
        """`tape.push`, compiled."""
        return jitted(partial(push, self), static_argnums=0)

    def run(
        self, i: int, params: Sequence[Array] | Mapping[int, Array], bottoms: Sequence[Array], key: Array | None = None
    ) -> tuple[list[Array], dict[int, Array]]:
        """Runs layer `i` alone: its tops, and new values of state parameters by their number in `params`."""
        return self.compute(Step(i, i, self.layers[i]), params, bottoms, key)

    def compute(
        self, step: Step, params: Sequence[Array] | Mapping[int, Array], bottoms: Sequence[Array], key: Array | None
    ) -> tuple[list[Array], dict[int, Array]]:
        """Like `run`, for a step, which may be several layers computed as one."""
        layer, numbers = step.layer, range(step.first, step.last + 1)
        param_ids, recurrent_ids = (
            [k for i in numbers for k in ids[i]] for ids in (self.param_ids, self.recurrent_ids)
        )
        own = [shaped(params[k], decl.shape) for decl, k in zip(layer.params, param_ids, strict=True)]
        own += [cleared(params[k], decl.shape) for decl, k in zip(layer.recurrent_state, recurrent_ids, strict=True)]
        arguments = self._converted(layer, own), self._converted(layer, bottoms)
        with jax.named_scope(layer.name.replace("/", ".") or layer.type):
            tops, changed = layer.apply(*arguments, Context(key, step.first))
        if layer.precision == "low":
            tops = [checkpoint_name(top, PRODUCT) for top in tops]
        if layer.precision == "mixed":
            tops = [top.astype(jnp.result_type(*bottoms)) for top in tops]
        return tops, {(param_ids + recurrent_ids)[n]: value for n, value in changed.items()}

    def _converted(self, layer: Layer, arrays: Sequence[Array]) -> Sequence[Array]:
        """A layer's input arrays, converted to the precision in which it computes."""
        if self.precision == "float32" or layer.precision == "given":
            return arrays
        return [x.astype(self.precision if layer.precision == "low" else "float32") for x in arrays]

    def measured(self, i: int, params: Sequence[Array] | Mapping[int, Array], bottoms: Sequence[Array]) -> "Net":
        """This net; if layer `i` is dynamic, with its tops of the shapes that follow from the values of `bottoms`."""
        layer = self.layers[i]
        if not layer.dynamic:
            return self
        try:
            own = [shaped(params[k], decl.shape) for decl, k in zip(layer.params, self.param_ids[i], strict=True)]
            shapes = layer.measure(*jax.lax.stop_gradient((own, list(bottoms))))
        except jax.errors.TracerArrayConversionError as e:
            raise layer.error("the sizes of its tops depend on values; compile this net with Net.compile.") from e
        if shapes is None:
            return self
        return self.resized({v.blob: shape for v, shape in zip(self.tops[i], shapes, strict=True)}, i + 1)

    def grown(self, i: int, tops: Mapping[Value, Array]) -> "Net":
        """This net; if layer `i` computes on the host, with the shapes of its `tops`."""
        if not self.layers[i].host:
            return self
        return self.resized({v.blob: tuple(tops[v].shape) for v in self.tops[i]}, i + 1)

    @cached_property
    def dynamic(self) -> bool:
        """Whether any shape depends on values: such a net cannot be compiled as one."""
        return any(layer.dynamic for layer in self.layers)

    def compile(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """`function`, which calls `forward`, as `Sized`; of a dynamic net as it is, since its spans are compiled.

        There a new size compiles only the layers after it.
        """
        return function if self.dynamic else Sized(function, self.name or "the net", **options)

    def made_of(self) -> tuple[Any, ...]:
        """All that determines a pass besides its arguments, including what layers read from files."""
        layers = [
            (node.config, node.bottoms, tops, {k: v for k, v in vars(layer).items() if k not in ("node", "config")})
            for node, layer, tops in zip(self.graph.nodes, self.layers, self.tops, strict=True)
        ]
        joined = (self.params, self.param_ids, self.recurrent_ids, self.output_names)
        settings = (self.precision, self.loss_weights, self.needs_backward, self.graph.param.force_backward)
        return ([type(layer) for layer in self.layers], layers, self.shapes, joined, settings)


def _is_input(layer: Layer) -> bool:
    return isinstance(layer, SourceLayer) and not layer.reads_data
