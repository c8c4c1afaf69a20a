"""Forward and backward passes of a caffe.Net: compiled, except for layers that compute on the host."""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np

import engine.net.net
from engine.blob import Blob
from engine.data.hdf5_sink import HDF5Sink
from engine.devices.run_faults import surfaced
from engine.errors import NetError
from engine.graph.graph import Value
from engine.layers import python
from engine.layers.base import Array, Layer, Shape, SourceLayer
from engine.layers.dummy_data import DummyData
from engine.layers.hdf5_output import HDF5Output
from engine.layers.structure import Split
from engine.net.convolution_work import light
from engine.net.sized import Sized, Uses
from engine.net.spans import spans
from engine.solver.inputs import Batches

from . import mode, walk

Hook = Callable[[int], Any]

KEPT = 256
"""How many compiled ranges of layers, for given input sizes, a net keeps."""


class Passes:
    """Runs ranges of a net's layers on its blobs.

    net: the net for the present sizes of its blobs. blobs: by name. params: the blobs of `net.params`. before_forward,
    after_forward, before_backward, after_backward: hooks called with the number of each layer; if there are any, layers
    run one by one.
    """

    def __init__(
        self,
        net: engine.net.net.Net,
        blobs: Mapping[str, Blob],
        params: Sequence[Blob],
        batches: Batches | None,
    ) -> None:
        self.net = self._built = net
        self.blobs, self.params = blobs, params
        self.before_forward: list[Hook] = []
        self.after_forward: list[Hook] = []
        self.before_backward: list[Hook] = []
        self.after_backward: list[Hook] = []
        self._given_batches = batches
        self._sinks: dict[int, HDF5Sink] = {}
        self._keys = np.zeros((len(net.layers), 2), np.uint32)
        self._key: Callable[[], Array] | None = None
        self._overwritten: dict[Value, Array] = {}
        self._recalled: dict[int, Array] = {}
        self._last = {v.blob: v for v in net.shapes}
        self._copies = self._shared()
        self._constants = self._filled()
        self._sources = {i: layer.name for i, layer in enumerate(net.layers) if _reads(layer)}
        self._compiled = lru_cache(KEPT)(partial(_compiled, net))

    def _shared(self) -> frozenset[str]:
        """The tops of Split layers. As in Caffe, they share their bottom's memory, so that a pass that begins after the
        Split reads what was written into the bottom. Tops that a layer overwrites in place have their own memory.
        """
        rows = zip(self.net.layers, self.net.graph.nodes, self.net.tops, strict=True)
        splits = [(node.bottoms[0], tops) for layer, node, tops in rows if isinstance(layer, Split)]
        last = set(self._last.values())
        copies = {v.blob: bottom.blob for bottom, tops in splits for v in tops if {v, bottom} <= last}
        for top, bottom in copies.items():
            self.blobs[top].share_data(self.blobs[bottom])
        return frozenset(copies)

    def _filled(self) -> dict[str, float]:
        """Fills the constant tops of DummyData layers, once: as in Caffe, what a program writes into them stays."""
        rows = (layer.constants for layer in self.net.layers if isinstance(layer, DummyData))
        constants = {top: value for row in rows for top, value in row.items()}
        for top, value in constants.items():
            if value:
                self.blobs[top].data[...] = value
        return constants

    def written(self, batches: Batches) -> dict[str, np.ndarray]:
        """The values that the program wrote into sources' tops: those of Input layers, and constant tops of DummyData
        layers if it has changed them, now or before the last of `batches`.
        """
        values = {name: self.blobs[name].data for name in self.net.input_names}
        for top, value in self._constants.items():
            blob = self.blobs[top]
            if top in batches.values or (blob.on_host and bool((blob.data != value).any())):
                values[top] = blob.data
        return values

    @property
    def batches(self) -> Batches:
        """The data that source layers read, opened at the first access."""
        if self._given_batches is None:
            self._given_batches = Batches(self._built, mode.next_seed())
            weakref.finalize(self, self._given_batches.close)
        return self._given_batches

    # Forward

    def forward(self, start: int, end: int, key: Array | None = None) -> None:
        """Runs layers start … end. key: the key for random layers; by default the next seed. Raises EngineError."""
        names = [name for i, name in self._sources.items() if start <= i <= end]
        if names and (feed := self.batches.feed):
            for top, value in feed.next(names).items():
                if top not in self._constants:
                    self.blobs[top].put(value)
        self.fit(start, end)
        self.keys[start : end + 1] = (0, mode.next_seed()) if key is None else np.asarray(jax.random.key_data(key))
        for a, b in self._spans(start, end, self.before_forward or self.after_forward):
            _call(self.before_forward, a)
            if self.net.layers[a].host:
                self._forward_on_host(a, end)
            else:
                self._forward_compiled(a, b)
            _call(self.after_forward, a)

    def _spans(self, start: int, end: int, one_by_one: object) -> Iterator[tuple[int, int]]:
        return spans(self.net.layers, start, end, one_by_one=bool(one_by_one))

    def _forward_on_host(self, i: int, end: int) -> None:
        layer, node = self.net.layers[i], self.net.graph.nodes[i]
        bottoms = {v: self.blobs[v.blob].value() for v in node.bottoms}
        self._overwritten.update((v, x) for v, x in bottoms.items() if v != self._last[v.blob])
        if isinstance(layer, python.Python):
            layer.run_forward()
        else:
            passed = walk.forward(self.net, i, i, self._params(i, i), bottoms, jnp.asarray(self.keys))
            self.put(passed.values)
            for k, x in passed.updates.items():
                self.params[k].put(x)
        self.net = self.net.resized({v.blob: self.blobs[v.blob].shape for v in self.net.tops[i]}, i + 1, end)

    def _forward_compiled(self, start: int, end: int) -> None:
        if self.net.layers[start].dynamic:  # the sizes after it depend on its values
            bottoms = [self.blobs[v.blob].value() for v in self.net.graph.nodes[start].bottoms]
            self.net = self.net.measured(start, {}, bottoms)
        net = self.net
        inputs = {v: self.blobs[v.blob].value() for v in walk.reads(net, start, end)}
        run = self._compiled(walk.forward, net, start, end)
        params = self._params(start, end)
        with surfaced():
            passed = jax.block_until_ready(run(params, inputs, self.keys))
        self._recalled.update((k, params[k]) for ids in net.recurrent_ids[start : end + 1] for k in ids)
        self._overwritten.update((v, x) for v, x in inputs.items() if v != self._last[v.blob])
        if passed.labels:
            net.check_labels([passed.labels.get(n, (0, 0)) for n in range(len(net.unchecked_labels))])
        self.put(passed.values)
        for k, x in passed.updates.items():
            self.params[k].put(x)
        for i in range(start, end + 1):
            if net.layers[i].sink:
                self._sink(i).write([self.blobs[v.blob].data for v in net.graph.nodes[i].bottoms])

    def put(self, values: Mapping[Value, Array]) -> None:
        """Puts the last version of each blob into it. Versions that are overwritten are kept for the backward pass."""
        self._overwritten.update((v, x) for v, x in values.items() if v != self._last[v.blob])
        for blob, v in {v.blob: v for v in values}.items():
            if blob in self._copies:
                self.blobs[blob].reshape(*values[v].shape)
            else:
                self.blobs[blob].put(values[v])

    # Backward

    def backward(self, start: int, end: int) -> None:
        """Runs the backward pass of layers start, start − 1, … end. Raises LayerError if one has no gradient."""
        self.net.check_backward(end, start)
        spans = list(self._spans(end, start, self.before_backward or self.after_backward))
        for a, b in reversed(spans):
            _call(self.before_backward, a)
            if not self.net.layers[a].host:
                self._backward_compiled(a, b)
            elif self.net.needs_backward.layers[a] and _has_gradient(layer := self.net.layers[a]):
                layer.run_backward(self.net.needs_backward.bottoms[a])
            _call(self.after_backward, a)

    def _backward_compiled(self, first: int, last: int) -> None:
        """Adds the gradients of parameters to their diffs."""
        # Caffe's in-place layers compute their gradient from the top; here a layer is differentiated at its bottom.
        values = {
            v: self._overwritten[v] if v in self._overwritten else self.blobs[v.blob].value()
            for node in self.net.graph.nodes[first : last + 1]
            for v in node.bottoms
        }
        params = self._params(first, last) | self._recalled
        for k, x in self._pull(self.net, first, last, params, values, self.keys).items():
            self.params[k].put_gradient(x)

    def _pull(
        self,
        net: engine.net.net.Net,
        first: int,
        last: int,
        params: Mapping[int, Array],
        values: Mapping[Value, Array],
        keys: Any,
    ) -> dict[int, Array]:
        """Runs the backward pass of layers last … first and puts the gradients into the blobs.

        Returns the parameters' diffs with their gradients added. Blobs whose size now differs from that in `net` are
        left unchanged.
        """
        tops = [v for each in net.tops[first : last + 1] for v in each]
        diffs = {v.blob: self._gradient(v.blob, net.shapes[v]) for v in tops}
        ids = {k for i in range(first, last + 1) for k in walk.needed(net, i)[0]}
        sums = {k: self._in_net_shape(k, self.params[k].gradient()) for k in ids}
        run = self._compiled(walk.backward, net, last, first)
        with surfaced():
            below, sums = jax.block_until_ready(run(params, values, diffs, sums, keys))
        for blob, x in below.items():
            if self.blobs[blob].shape == x.shape:
                self.blobs[blob].put_gradient(x)
        return sums

    def _gradient(self, blob: str, shape: Shape) -> Array:
        return self.blobs[blob].gradient() if self.blobs[blob].shape == shape else jnp.zeros(shape)

    @property
    def keys(self) -> np.ndarray:
        """The key data of each layer's random key in its last pass."""
        if self._key is not None:
            self._keys[:], self._key = np.asarray(jax.random.key_data(self._key())), None
        return self._keys

    def adopt(self, values: Mapping[Value, Array], params: Sequence[Array], key: Callable[[], Array]) -> None:
        """Shows what a pass of the solver computed with these parameters and this random key.

        The gradients of blobs, which the solver did not keep, are computed when one of them is first read.
        """
        self.show(values)
        self._recalled = {k: params[k] for ids in self.net.recurrent_ids for k in ids}
        self._key = key
        net, waiting = self.net, [True]

        def pull() -> None:
            if waiting:
                waiting.clear()
                bottoms = {v: values[v] for node in net.graph.nodes for v in node.bottoms}
                keys = np.broadcast_to(np.asarray(jax.random.key_data(key())), self._keys.shape)
                self._pull(net, 0, len(net.layers) - 1, dict(enumerate(params)), bottoms, keys)

        for blob in {node.bottoms[j].blob for i, node in enumerate(net.graph.nodes) for j in walk.needed(net, i)[1]}:
            self.blobs[blob].defer_gradient(pull)

    def show(self, values: Mapping[Value, Array]) -> None:
        """Shows what a pass of the solver computed."""
        self.fit_to(values)
        self.put(values)

    # Sizes

    def fit(self, start: int, end: int) -> None:
        """Sets up layers `start` … `end` for the present shapes of the tops of sources and of earlier dynamic layers.

        Layers after `end` that do not fit keep their shapes, as in Caffe, which reshapes only the layers it runs.
        """
        self.net = self._built.resized(self._source_shapes(start), start, end)

    def reshape(self) -> None:
        """Reshapes every blob to fit the sources' present shapes. Python layers reshape their own tops.

        Raises LayerError if a layer does not fit.
        """
        last = len(self.net.layers) - 1
        of_users = [(i, layer) for i, layer in enumerate(self.net.layers) if isinstance(layer, python.Python)]
        sources = [layer for _, layer in of_users if isinstance(layer, SourceLayer)]
        between = [(i, layer) for i, layer in of_users if layer not in sources]
        for source in sources:
            source.reshape()
        self.net = self._built.resized(
            self._source_shapes(last + 1), min((i for i, _ in between), default=last + 1), last
        )
        self._size_blobs()
        for i, layer in between:
            layer.reshape()
            self.net = self.net.resized({v.blob: self.blobs[v.blob].shape for v in self.net.tops[i]}, i + 1, last)
            self._size_blobs()

    def _size_blobs(self) -> None:
        for name, shape in self.net.blob_shapes.items():
            self.blobs[name].reshape(*shape)

    def _source_shapes(self, start: int) -> dict[str, Shape]:
        """The present shapes of the tops of sources, and of dynamic layers before `start`."""
        layers = enumerate(zip(self.net.layers, self.net.tops, strict=True))
        return {
            v.blob: self.blobs[v.blob].shape
            for i, (layer, tops) in layers
            if isinstance(layer, SourceLayer) or (layer.dynamic and i < start)
            for v in tops
        }

    def fit_to(self, values: Mapping[Value, Array]) -> None:
        """Sets up the layers for the shapes of computed values."""
        layers = zip(self._built.layers, self._built.tops, strict=True)
        self.net = self._built.resized(
            {
                v.blob: values[v].shape
                for layer, tops in layers
                if isinstance(layer, SourceLayer) or layer.dynamic
                for v in tops
                if v in values
            }
        )

    # Helpers

    def _params(self, start: int, end: int) -> dict[int, Array]:
        rows = [*self.net.param_ids[start : end + 1], *self.net.recurrent_ids[start : end + 1]]
        return {k: self._in_net_shape(k, self.params[k].value()) for ids in rows for k in ids}

    def _in_net_shape(self, k: int, value: Array) -> Array:
        """A parameter, or its gradient, in the shape it has in the net, even if the program reshaped it.

        Raises NetError if the number of elements differs.
        """
        param = self.net.params[k]
        if value.shape == param.shape or k in self.net.recurrent_state:
            return value
        if value.size == prod(param.shape):
            return value.reshape(param.shape)
        raise NetError(
            f'parameter {param.index} of layer "{param.layer}" was reshaped to {list(value.shape)}, but the net '
            f"computes with {list(param.shape)}: save the model, and open a net of the new sizes with it."
        )

    def _sink(self, i: int) -> HDF5Sink:
        """The file of an HDF5Output layer. It is completed when the net is deleted or the program ends."""
        if i not in self._sinks:
            layer = self.net.layers[i]
            assert isinstance(layer, HDF5Output)
            self._sinks[i] = layer.open()
            weakref.finalize(self, self._sinks[i].close)
        return self._sinks[i]


def _reads(layer: Any) -> bool:
    return isinstance(layer, SourceLayer) and layer.reads_data


def _call(hooks: Sequence[Hook], layer: int) -> None:
    for hook in hooks:
        hook(layer)


def _compiled(
    built: engine.net.net.Net, run: Callable[..., Any], net: engine.net.net.Net, start: int, end: int
) -> Callable[..., Any]:
    """Compiles a function of `walk` over layers of `net`, which is `built` itself or `built` resized."""
    return Sized(
        partial(run, net, start, end),
        net.name or "the net",
        uses=Uses(varied=net is not built),
        light=lambda *_: light(net),
        made_of=lambda: (run, net.made_of(), start, end),
    )


def _has_gradient(layer: Layer) -> TypeGuard[python.Python]:
    """Whether a layer that runs on the host has a gradient: Python layers do, unless they are sources."""
    return isinstance(layer, python.Python) and not isinstance(layer, SourceLayer)
