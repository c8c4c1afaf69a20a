"""`caffe.Net`: a net whose blobs lie open as numpy arrays."""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

import engine.net.net
from engine.blob import Blob, BlobVec
from engine.data.feed import Feed
from engine.data.hdf5_sink import HDF5Sink
from engine.errors import NetError
from engine.graph.graph import Value
from engine.layers import python
from engine.layers.base import Array, Layer, SourceLayer
from engine.layers.sources import HDF5Output, MemoryData
from engine.net.weights import to_model
from engine.proto import binary, text
from engine.solver.snapshot import formats

from . import mode, walk

Arrays = dict[str, np.ndarray]

KEPT = 64
"""Compiled ranges of layers and sizes of inputs that a net keeps."""


class BoundLayer:
    """A layer as `Net.layers` lists it: its `type`, and its parameters as `blobs`."""

    def __init__(self, layer: Layer, blobs: BlobVec) -> None:
        self.type = layer.type
        self.blobs = blobs


class Net:
    """A net, its parameters and what it computed last.

    blobs: every blob by name. params: for each layer that has some, its parameters. layers, layer_dict: the layers.
    inputs, outputs: the blobs that the caller fills, and those that no layer reads. top_names, bottom_names: for each
    layer, the blobs that it makes and reads. blob_loss_weights: each blob's weight in the loss.
    """

    def __init__(
        self,
        network_file: str | Path,
        phase: int | str | Path,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | Path | None = None,
    ) -> None:
        """Reads a net's text file and, with `weights`, a model. Net(file, weights, phase), the older order, works too.

        Raises PrototxtError, NetError or SnapshotError.
        """
        if not isinstance(phase, int):
            phase, level, weights = level, 0, str(phase)
        param = text.read_net(network_file)
        net = engine.net.net.Net.from_param(param, phase, level, list(stages or ()), network_file)
        params = [Blob(*p.shape) for p in net.params]
        for blob, value in zip(params, net.init(mode.next_seed()), strict=True):
            blob.data[...] = value
        self._open(net, params)
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def _around(cls, net: engine.net.net.Net, params: list[Blob]) -> Self:
        """A view of `net` on parameters that someone else owns too."""
        made = cls.__new__(cls)
        made._open(net, params)
        return made

    def _open(self, net: engine.net.net.Net, params: list[Blob]) -> None:
        self._net = self._built = net
        self._owned = params
        self._sources: dict[int, Any] = {}
        self._feeds: dict[int, Feed] = {}
        self._sinks: dict[int, HDF5Sink] = {}
        self._seeds = np.zeros(len(net.layers), np.uint32)
        self._overwritten: dict[Value, Array] = {}
        self._recalled: dict[int, Array] = {}
        self._compiled = lru_cache(KEPT)(_compile)
        self._last = {v.blob: v for v in net.shapes}
        self._layer_names = net.layer_names
        self.name, self.phase = net.name, net.phase
        self.inputs, self.outputs = net.input_names, net.output_names
        self.top_names = OrderedDict(
            (name, [v.blob for v in tops]) for name, tops in zip(self._layer_names, net.tops, strict=True)
        )
        self.bottom_names = OrderedDict((node.name, [v.blob for v in node.bottoms]) for node in net.graph.nodes)
        self.blob_loss_weights = OrderedDict.fromkeys(net.blob_shapes, 0.0)
        for tops, weights in zip(net.tops, net.loss_weights, strict=True):
            self.blob_loss_weights.update({v.blob: w for v, w in zip(tops, weights, strict=True) if w})
        # A loss starts its gradient with its weight, which lies in its diff, where it can be changed.
        self.blobs = OrderedDict(
            (blob, Blob(*shape, fill_diff=self.blob_loss_weights[blob])) for blob, shape in net.blob_shapes.items()
        )
        rows = [self._row(i) for i in range(len(net.layers))]
        self.layers = [_bound(layer, row) for layer, row in zip(net.layers, rows, strict=True)]
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((name, row) for name, row in zip(self._layer_names, rows, strict=True) if row)

    def _row(self, i: int) -> BlobVec:
        declared = zip(self._net.param_ids[i], self._net.layers[i].params, strict=True)
        return BlobVec(self._owned[k].viewed(decl.shape) for k, decl in declared)

    # Passes

    def forward(
        self, blobs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **inputs: Any
    ) -> Arrays:
        """Runs the layers from `start` to `end`, both included; all without them.

        inputs: the values of all input blobs, by name. Returns the outputs (with `end`, its tops) and those in `blobs`.
        Raises NetError for names that the net does not have and for inputs that do not fit.
        """
        first, last = self._index(start, 0), self._index(end, len(self.layers) - 1)
        wanted = self._known([*(self.outputs if end is None else self.top_names[end]), *(blobs or ())])
        if inputs:
            self._fill(inputs, self.inputs, "input")
        self._forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self, diffs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **gradients: Any
    ) -> Arrays:
        """Runs the layers from `start` down to `end`, both included; all without them.

        gradients: the `diff` of all outputs, by name; else what these hold (a loss: its weight). The diffs of
        parameters add up from call to call; see clear_param_diffs. Returns the diffs of the inputs (with `end`, of its
        bottoms) and of the blobs in `diffs`.
        """
        first, last = self._index(start, len(self.layers) - 1), self._index(end, 0)
        wanted = self._known([*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())])
        if gradients:
            self._fill(gradients, self.outputs, "output")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: Any) -> Arrays:
        """`forward` on any number of examples, a batch at a time; of a scalar (a loss) there is one value a batch."""
        extra = list(blobs or ())
        parts: list[Arrays] = []
        for batch in self._batch(inputs):
            parts.append(_copied(self.forward(extra, **batch)))
        return _joined(parts, _examples(inputs))

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **arrays: Any
    ) -> tuple[Arrays, Arrays]:
        """`forward` and `backward` on any number of examples and gradients of the outputs, a batch at a time."""
        extra, more = list(blobs or ()), list(diffs or ())
        inputs = {name: value for name, value in arrays.items() if name not in self.outputs}
        gradients = {name: value for name, value in arrays.items() if name in self.outputs}
        outs: list[Arrays] = []
        backs: list[Arrays] = []
        nothing: dict[str, Any] = {}
        for batch, gradient in zip_longest(self._batch(inputs), self._batch(gradients), fillvalue=nothing):
            outs.append(_copied(self.forward(extra, **batch)))
            backs.append(_copied(self.backward(more, **gradient)))
        return _joined(outs, _examples(inputs)), _joined(backs, _examples(inputs))

    def reshape(self) -> None:
        """Gives every blob the shape that follows from the inputs' present ones. Raises LayerError where none does."""
        self._fit(len(self.layers))
        for name, shape in self._net.blob_shapes.items():
            self.blobs[name].reshape(*shape)

    def _forward(self, start: int, end: int) -> None:
        for i in range(start, end + 1):
            layer = self._net.layers[i]
            if isinstance(layer, SourceLayer) and layer.reads_data:
                for name, value in self._feed(i, layer).next().items():
                    self.blobs[name].put(value)
        self._fit(start)
        self._seeds[start : end + 1] = mode.next_seed()
        first = start
        for i in range(start, end + 1):
            if self._net.layers[i].dynamic:  # the layers behind it are of the sizes that it turns out to make
                self._run(first, i - 1)
                bottoms = [self.blobs[v.blob].value() for v in self._net.graph.nodes[i].bottoms]
                self._net, first = self._net.measured(i, bottoms), i
        self._run(first, end)

    def _run(self, start: int, end: int) -> None:
        net = self._net
        given = {v: self.blobs[v.blob].value() for v in walk.reads(net, start, end)}
        run = self._compiled(walk.forward, net, start, end)
        params = self._params(start, end)
        with python.surfaced():
            passed = jax.block_until_ready(run(params, given, self._seeds))
            jax.effects_barrier()  # layers without tops leave nothing else to wait for
        self._recalled.update((k, params[k]) for ids in net.recurrent_ids[start : end + 1] for k in ids)
        self._overwritten.update((v, x) for v, x in given.items() if v != self._last[v.blob])
        net.check_labels([passed.labels.get(n, (0, 0)) for n in range(len(net.unchecked_labels))])
        self._put(passed.values)
        for k, x in passed.updates.items():
            self._owned[k].put(x)
        for i in range(start, end + 1):
            if net.layers[i].sink:
                self._sink(i).write([self.blobs[v.blob].data for v in net.graph.nodes[i].bottoms])

    def _put(self, values: Mapping[Value, Array]) -> None:
        """Into each blob the last of its versions; those that it overwrites are kept for backward."""
        self._overwritten.update((v, x) for v, x in values.items() if v != self._last[v.blob])
        for blob, v in {v.blob: v for v in values}.items():
            self.blobs[blob].put(values[v])

    def _backward(self, start: int, end: int) -> None:
        net = self._net
        nodes = net.graph.nodes[end : start + 1]
        # In-place layers of Caffe make do with their tops; a derivative is taken where the layer's bottom was.
        values = {
            v: self._overwritten[v] if v in self._overwritten else self.blobs[v.blob].value()
            for node in nodes
            for v in node.bottoms
        }
        diffs = {v.blob: self.blobs[v.blob].gradient() for tops in net.tops[end : start + 1] for v in tops}
        ids = {k for i in range(end, start + 1) for k in walk.needed(net, i)[0]}
        sums = {k: self._owned[k].gradient() for k in ids}
        run = self._compiled(walk.backward, net, start, end)
        with python.surfaced():
            arrays = self._params(end, start) | self._recalled, values, diffs, sums, self._seeds
            below, sums = jax.block_until_ready(run(*arrays))
        for blob, x in below.items():
            self.blobs[blob].put_gradient(x)
        for k, x in sums.items():
            self._owned[k].put_gradient(x)

    def _params(self, start: int, end: int) -> dict[int, Array]:
        rows = [*self._net.param_ids[start : end + 1], *self._net.recurrent_ids[start : end + 1]]
        return {k: self._owned[k].value() for ids in rows for k in ids}

    def _fit(self, start: int) -> None:
        """Sets the layers up for the present shapes of sources' tops, and of dynamic layers' before layer `start`."""
        wanted = {
            v.blob: self.blobs[v.blob].shape
            for i, (layer, tops) in enumerate(zip(self._net.layers, self._net.tops, strict=True))
            if isinstance(layer, SourceLayer) or (layer.dynamic and i < start)
            for v in tops
        }
        self._net = self._built.resized(wanted)

    def _feed(self, i: int, layer: SourceLayer) -> Feed:
        if i not in self._feeds:
            self._sources[i] = layer.open(mode.next_seed())
            self._feeds[i] = Feed({layer.name: self._sources[i]}, self._net.label_bounds)
            weakref.finalize(self, self._feeds[i].close)
        return self._feeds[i]

    def _sink(self, i: int) -> HDF5Sink:
        """The file of an HDF5Output layer; it is complete when the net is gone, or the program ends."""
        if i not in self._sinks:
            layer = self._net.layers[i]
            assert isinstance(layer, HDF5Output)
            self._sinks[i] = layer.open()
            weakref.finalize(self, self._sinks[i].close)
        return self._sinks[i]

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """What the net's MemoryData layer hands out: data (n, channels, height, width), labels (n,), round and round.

        n is a multiple of the batch size. Raises NetError without such a layer, DataError for arrays that do not fit.
        """
        for i, layer in enumerate(self._net.layers):
            if isinstance(layer, MemoryData):
                feed = self._feed(i, layer)
                self._sources[i].set(data, labels)
                feed.restore({layer.name: {"at": 0}})
                return
        raise NetError("set_input_arrays: this net has no MemoryData layer.")

    # Parameters

    def copy_from(self, weights: str | Path) -> None:
        """Takes the parameters of the layers that a .caffemodel or .h5 model has by the same names.

        Raises SnapshotError where it cannot be read or a shape differs; the parameters are then as they were.
        """
        before = [blob.data for blob in self._owned]
        for blob, value in zip(before, formats.load_model(weights, self._net, before), strict=True):
            blob[...] = value

    load_hdf5 = copy_from

    def save(self, path: str | Path) -> None:
        """Writes the net and its parameters as a .caffemodel. Raises SnapshotError."""
        binary.write(path, to_model(self._net, [blob.data for blob in self._owned]))

    def save_hdf5(self, path: str | Path, write_diff: bool = False) -> None:
        """Writes the parameters, and with `write_diff` their diffs, as Caffe's HDF5 models. Raises SnapshotError."""
        diffs = [blob.diff for blob in self._owned] if write_diff else None
        formats.write_model_hdf5(Path(path), self._net, [blob.data for blob in self._owned], diffs)

    def share_with(self, other: "Net") -> None:
        """Uses the parameters of the layers that `other` has by the same names: a change in one shows in both.

        Raises NetError where counts or shapes differ.
        """
        for i, name in enumerate(self._layer_names):
            theirs = other.params.get(name)
            if theirs is None or name not in self.params:
                continue
            here, there = ([b.shape for b in row] for row in (self.params[name], theirs))
            if here != there:
                raise NetError(f'share_with: layer "{name}" has parameters of shapes {here} here and {there} there.')
            for k, blob in zip(self._net.param_ids[i], theirs, strict=True):
                self._owned[k].share_data(blob)
        for name, ids in zip(self._layer_names, self._net.param_ids, strict=True):
            for blob, k in zip(self.params.get(name, ()), ids, strict=True):
                blob.share_data(self._owned[k])

    def clear_param_diffs(self) -> None:
        """Sets the diffs of all parameters to 0."""
        for blob in self._owned:
            blob.diff[...] = 0

    # Names

    def _index(self, name: str | None, default: int) -> int:
        if name is None:
            return default
        if name not in self.layer_dict:
            raise NetError(f'this net has no layer "{name}"; it has {", ".join(self._layer_names)}.')
        return self._layer_names.index(name)

    def _known(self, names: Iterable[str]) -> list[str]:
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in self.blobs:
                raise NetError(f'this net has no blob "{name}"; it has {", ".join(self.blobs)}.')
        return wanted

    def _fill(self, given: Mapping[str, Any], names: Sequence[str], what: str) -> None:
        if set(given) != set(names):
            raise NetError(
                f"{what}s given: {', '.join(given)}; the net's {what}s are {', '.join(names) or 'none'}: give them all."
            )
        for name, value in given.items():
            array = self.blobs[name].data if what == "input" else self.blobs[name].diff
            if np.shape(value) != array.shape:
                raise NetError(
                    f'{what} "{name}" has shape {list(array.shape)} and was given {list(np.shape(value))}. '
                    f'Reshape it first: net.blobs["{name}"].reshape(…).'
                )
            array[...] = value

    def _batch(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The arrays in pieces of the net's batch size, the last filled up with zeros."""
        if not arrays:
            return
        size = self.blobs[next(iter(arrays))].num
        count = _examples(arrays)
        for start in range(0, count, size):
            piece = {name: np.asarray(value[start : start + size], np.float32) for name, value in arrays.items()}
            short = size - min(size, count - start)
            yield {name: np.pad(x, [(0, short)] + [(0, 0)] * (x.ndim - 1)) for name, x in piece.items()}


def _bound(layer: Layer, blobs: BlobVec) -> BoundLayer | python.UserLayer:
    """A Python layer is listed as the object that its user made, whose methods can be called."""
    return layer.user if isinstance(layer, python.Python) else BoundLayer(layer, blobs)


def _compile(run: Callable[..., Any], net: engine.net.net.Net, start: int, end: int) -> Callable[..., Any]:
    def exact(*arrays: Any) -> Any:
        with jax.default_matmul_precision("highest"):  # float32 as Caffe has it: GPUs would round to TF32
            return run(net, start, end, *arrays)

    return jax.jit(exact)


def _examples(arrays: Mapping[str, Any]) -> int:
    counts = {name: len(value) for name, value in arrays.items()}
    if len(set(counts.values())) > 1:
        raise NetError(f"arrays of different numbers of examples: {counts}.")
    return next(iter(counts.values()), 0)


def _copied(arrays: Arrays) -> Arrays:
    return {name: np.array(value, ndmin=1) for name, value in arrays.items()}


def _joined(parts: Sequence[Arrays], examples: int) -> Arrays:
    """Batches one behind the other; what filled the last one up is cut off."""
    return {name: np.concatenate([p[name] for p in parts])[:examples] for name in parts[0]} if parts else {}
