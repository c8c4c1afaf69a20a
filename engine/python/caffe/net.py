"""`caffe.Net`: a net whose blobs can be read and written as numpy arrays."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import index
from typing import Any, Self, SupportsIndex

import jax
import numpy as np

import engine.net.net
from engine import log
from engine.blob import Blob, BlobVec, Uncopied
from engine.errors import NetError
from engine.layers import python
from engine.layers.base import Layer
from engine.layers.sources import MemoryData
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver.inputs import Batches

from . import batched, former, mode, models
from .errors import ArgumentError, ArrayError, UnknownBlobError, UnknownLayerError
from .files import File, is_name, named
from .passes import Hook, Passes

Arrays = dict[str, np.ndarray]

MADE = frozenset(
    ("_net", "_passes", "_owned", "_blobs_dict", "_params_dict", "_layer_list", "_layer_dict", "_layer_names")
)
"""Attributes that a net has only after its __init__ has run."""


class BoundLayer(Uncopied, python.UserLayer):
    """A layer in `Net.layers`: its `type`, and its parameters as `blobs`. It is a `caffe.Layer`, as in Caffe."""

    def __init__(self, layer: Layer, blobs: BlobVec) -> None:
        self.type = layer.type
        self.blobs = blobs


class Net(Uncopied):
    """A net, its parameters, and the values it computed last.

    blobs: every blob by name. params: the parameters of each layer that has some. layers, layer_dict: the layers.
    inputs, outputs: the blobs that the caller fills, and those that no layer reads. top_names, bottom_names: each
    layer's tops and bottoms. blob_loss_weights: each blob's weight in the loss. Members that begin with an underscore
    are those of pycaffe's compiled module, which use numbers instead of names.
    """

    name: str

    def __init__(
        self,
        network_file: File,
        phase: int | File = pb.TEST,
        level: int | File = 0,
        stages: Sequence[str | bytes] | None = None,
        weights: File | None = None,
    ) -> None:
        """Reads a net's prototxt and, if given, a model with its `weights`. The older forms Net(file, weights) and
        Net(file, weights, phase) work too.

        Raises PrototxtError, NetError or SnapshotError.
        """
        file = named(network_file, "caffe.Net")
        if is_name(phase):
            weights, phase, level = phase, (level or pb.TEST), 0
            log.warning("_caffe.cpp:166", "DEPRECATION WARNING - deprecated use of Python interface")
            log.warning("_caffe.cpp:167", 'Use this instead (with the named "weights" parameter):')
            log.warning("_caffe.cpp:169", f"Net('{file}', {phase!r}, weights='{named(weights, 'caffe.Net')}')")
        if phase not in (pb.TRAIN, pb.TEST):
            raise ArgumentError(f"caffe.Net: phase is {phase!r}; give caffe.TRAIN or caffe.TEST.")
        if not isinstance(level, SupportsIndex):
            raise ArgumentError(f"caffe.Net: level is {level!r}; give an integer.")
        if isinstance(stages, str | bytes):
            raise ArgumentError(f"caffe.Net: stages is a list of names; give [{stages!r}].")
        states = [os.fsdecode(stage) for stage in stages or ()]
        net = engine.net.net.Net.from_param(text.read_net(file), int(phase), index(level), states, file)
        params = [Blob(*p.shape) for p in net.params]
        for blob, value in zip(params, net.init(mode.next_seed()), strict=True):
            blob.data[...] = value
        self._open(net, params, None)
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def _around(cls, net: engine.net.net.Net, params: list[Blob], batches: Batches) -> Self:
        """A Net on an existing engine net, its parameters and its data, which it shares with their owner."""
        instance = cls.__new__(cls)
        instance._open(net, params, batches)
        return instance

    def _open(self, net: engine.net.net.Net, params: list[Blob], batches: Batches | None) -> None:
        self._net, self._owned = net, params
        self._layer_names = net.layer_names
        self.phase = net.phase
        self._input_list, self._output_list = net.input_names, net.output_names
        self._top_names = OrderedDict(
            (name, [v.blob for v in tops]) for name, tops in zip(self._layer_names, net.tops, strict=True)
        )
        self._bottom_names = OrderedDict((node.name, [v.blob for v in node.bottoms]) for node in net.graph.nodes)
        pairs = zip(net.tops, net.loss_weights, strict=True)
        weighted = [(v.blob, w) for tops, weights in pairs for v, w in zip(tops, weights, strict=True)]
        self._blob_loss_weights = list((dict.fromkeys(net.blob_shapes, 0.0) | dict(weighted)).values())
        # As in Caffe, the diff of a loss holds its weight, from which backward starts; programs may change it.
        starts = {blob: w for blob, w in weighted if w}
        self._blobs_dict = blobs = OrderedDict(
            (blob, Blob(*shape, fill_diff=starts.get(blob, 0.0))) for blob, shape in net.blob_shapes.items()
        )
        rows = [self._row(i) for i in range(len(net.layers))]
        self._layer_list = [_bound(layer, row) for layer, row in zip(net.layers, rows, strict=True)]
        vars(self).update(name=net.name)  # past a property of this name that a program's subclass may have
        self._layer_dict = OrderedDict(zip(self._layer_names, self._layer_list, strict=True))
        self._params_dict = OrderedDict((name, row) for name, row in zip(self._layer_names, rows, strict=True) if row)
        for layer, node, tops, row in zip(net.layers, net.graph.nodes, net.tops, rows, strict=True):
            if isinstance(layer, python.Python):
                layer.bind([blobs[v.blob] for v in node.bottoms], [blobs[v.blob] for v in tops], row)
        self._passes = Passes(net, blobs, params, batches)

    def __getattr__(self, name: str) -> Any:
        if name in MADE and "_passes" not in vars(self):
            raise ArgumentError(
                f"this {type(self).__name__} is not initialized: its __init__ must call caffe.Net.__init__(self, FILE, "
                "PHASE) first."
            )
        raise former.missing(f"{type(self).__name__!r} object", name)

    # Read-only views of what pycaffe keeps under names with an underscore, which programs read too.

    @property
    def blobs(self) -> OrderedDict[str, Blob]:
        return self._blobs_dict

    @property
    def params(self) -> OrderedDict[str, BlobVec]:
        return self._params_dict

    @property
    def layers(self) -> list[Any]:
        return self._layer_list

    @property
    def layer_dict(self) -> OrderedDict[str, Any]:
        return self._layer_dict

    @property
    def inputs(self) -> list[str]:
        return self._input_list

    @property
    def outputs(self) -> list[str]:
        return self._output_list

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        return self._top_names

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        return self._bottom_names

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Each blob's weight in the loss."""
        return OrderedDict(zip(self.blobs, self._blob_loss_weights, strict=True))

    def _row(self, i: int) -> BlobVec:
        declared = zip(self._net.param_ids[i], self._net.layers[i].params, strict=True)
        return BlobVec(self._owned[k].viewed(decl.shape) for k, decl in declared)

    # Passes

    def forward(
        self, blobs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **inputs: Any
    ) -> Arrays:
        """Runs the layers from `start` to `end`, inclusive; by default all.

        inputs: the values of all input blobs, by name. Returns the net's outputs, or with `end` that layer's tops, and
        the blobs named in `blobs`. Raises NetError for names that the net does not have and for inputs that do not fit.
        """
        first, last = self._index(start, 0), self._index(end, len(self._net.layers) - 1)
        names = self._known([*(self.outputs if end is None else self.top_names[end]), *(blobs or ())])
        if inputs:
            self._fill(inputs, self.inputs, "input")
        self._passes.forward(first, last)
        return {name: self.blobs[name].data for name in names}

    def backward(
        self, diffs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **gradients: Any
    ) -> Arrays:
        """Runs the backward pass of the layers from `start` down to `end`, inclusive; by default all.

        gradients: the diffs of all outputs, by name; by default those that the outputs hold (a loss: its weight). The
        diffs of parameters accumulate from call to call; see clear_param_diffs. Returns the diffs of the net's inputs,
        or with `end` of that layer's bottoms, and of the blobs named in `diffs`.
        """
        first, last = self._index(start, len(self._net.layers) - 1), self._index(end, 0)
        names = self._known([*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())])
        if gradients:
            self._fill(gradients, self.outputs, "output")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in names}

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: Any) -> Arrays:
        """`forward` on any number of examples, one batch at a time; scalars (losses) give one value per batch."""
        return batched.forward(self, list(blobs or ()), inputs)

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **arrays: Any
    ) -> tuple[Arrays, Arrays]:
        """`forward` and `backward` on any number of examples and of gradients of the outputs, one batch at a time."""
        return batched.forward_backward(self, list(blobs or ()), list(diffs or ()), arrays)

    def reshape(self) -> None:
        """Reshapes every blob to fit the inputs' present shapes. Raises LayerError if a layer cannot take them."""
        self._passes.reshape()

    def _forward(self, start: int, end: int, key: jax.Array | None = None) -> float:
        """Runs layers start … end, by number. Returns the loss: Σ diff · data over their tops with a loss weight, which
        their diff holds.
        """
        self._check_numbers(start, end)
        self._passes.forward(start, end, key)
        loss = 0.0
        for tops, weights in zip(self._net.tops[start : end + 1], self._net.loss_weights[start : end + 1], strict=True):
            weighted = [self.blobs[v.blob] for v, w in zip(tops, weights, strict=True) if w]
            loss += sum(float(np.vdot(blob.diff, blob.data)) for blob in weighted)
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Runs the backward pass of layers start, start − 1, … end, by number."""
        self._check_numbers(end, start)
        self._passes.backward(start, end)

    def before_forward(self, run: Hook) -> None:
        """Adds a hook: `run(i)` is called before the forward pass of each layer i. The three below work alike."""
        self._passes.before_forward.append(run)

    def after_forward(self, run: Hook) -> None:
        self._passes.after_forward.append(run)

    def before_backward(self, run: Hook) -> None:
        self._passes.before_backward.append(run)

    def after_backward(self, run: Hook) -> None:
        self._passes.after_backward.append(run)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Sets what the net's MemoryData layer produces, cyclically: data (n, channels, height, width), labels (n,).

        n must be a multiple of the batch size. Raises NetError if there is no such layer, and DataError for arrays that
        do not fit.
        """
        for layer in self._net.layers:
            if isinstance(layer, MemoryData) and (feed := self._passes.batches.feed):
                feed.restore({layer.name: {"at": 0}})
                feed.source(layer.name).set(data, labels)  # type: ignore[attr-defined]
                return
        raise NetError("set_input_arrays: this net has no MemoryData layer.")

    @property
    def hooked(self) -> bool:
        """Whether any hooks have been added."""
        passes = self._passes
        return bool(passes.before_forward or passes.after_forward or passes.before_backward or passes.after_backward)

    # Parameters

    def show_update(self, params: Sequence[Any], steps: Sequence[Any]) -> None:
        """Shows the result of an update: the new parameters and, in their diffs as in Caffe, the steps subtracted."""
        for blob, value in zip(self._owned, params, strict=True):
            blob.put(value)
        for blob, step in zip(self._owned, steps, strict=False):
            blob.put_gradient(step)

    def copy_from(self, weights: "File | Net") -> None:
        """Copies parameters from a model, binary or HDF5, or from another net, for layers of the same names.

        Raises SnapshotError if it cannot be read or a shape differs, and then leaves the parameters unchanged.
        """
        if isinstance(weights, Net):
            models.copy(self._net, self._owned, weights.params, f"net {weights.name!r}")
        else:
            models.copy(self._net, self._owned, named(weights, "copy_from"))

    def load_hdf5(self, weights: File) -> None:
        """Like `copy_from`, for an HDF5 model."""
        self.copy_from(weights)

    def save(self, path: File) -> None:
        """Writes the net and its parameters as a .caffemodel. Raises SnapshotError."""
        models.save(self._net, self._owned, named(path, "save"))

    def save_hdf5(self, path: File, write_diff: bool = False) -> None:
        """Writes the parameters, with `write_diff` also their diffs, as a Caffe HDF5 model. Raises SnapshotError."""
        models.save_hdf5(self._net, self._owned, named(path, "save_hdf5"), write_diff=write_diff)

    def share_with(self, other: "Net") -> None:
        """Shares the parameters of layers that have the same names in `other`: a change in one net shows in both.

        Raises NetError if counts or shapes differ.
        """
        if not isinstance(other, Net):
            raise ArgumentError(f"share_with takes a net, not {type(other).__name__}.")
        models.share(self._net, self._owned, self.params, other.params)

    def clear_param_diffs(self) -> None:
        """Sets the diffs of all parameters to 0."""
        for blob in self._owned:
            blob.diff[...] = 0

    # By number

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> BlobVec:
        return BlobVec(self.blobs.values())

    @property
    def _inputs(self) -> list[int]:
        return self._numbers(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._numbers(self.outputs)

    def _top_ids(self, layer: int) -> list[int]:
        self._check_numbers(layer, layer)
        return self._numbers(v.blob for v in self._net.tops[layer])

    def _bottom_ids(self, layer: int) -> list[int]:
        self._check_numbers(layer, layer)
        return self._numbers(v.blob for v in self._net.graph.nodes[layer].bottoms)

    def _numbers(self, names: Iterable[str]) -> list[int]:
        blobs = list(self.blobs)
        return [blobs.index(name) for name in names]

    def _check_numbers(self, first: int, last: int) -> None:
        if first < 0 or last >= len(self._net.layers):
            wrong = first if first < 0 else last
            raise NetError(f"this net has no layer {wrong}; it has layers 0 to {len(self._net.layers) - 1}.")

    # Names

    def _index(self, name: str | None, default: int) -> int:
        if name is None:
            return default
        if name not in self.layer_dict:
            raise UnknownLayerError(f'this net has no layer "{name}"; it has {", ".join(self._layer_names)}.')
        return self._layer_names.index(name)

    def _known(self, names: Iterable[str]) -> list[str]:
        unique = list(dict.fromkeys(names))
        for name in unique:
            if name not in self.blobs:
                raise UnknownBlobError(f'this net has no blob "{name}"; it has {", ".join(self.blobs)}.')
        return unique

    def _fill(self, values: Mapping[str, Any], names: Sequence[str], what: str) -> None:
        if set(values) != set(names):
            raise NetError(
                f"{what}s given: {', '.join(values)}; the net's {what}s are {', '.join(names) or 'none'}: give all of "
                "them, and no others."
            )
        for name, value in values.items():
            array = self.blobs[name].data if what == "input" else self.blobs[name].diff
            try:
                fits = np.shape(value)[:1] == array.shape[:1]
                leading = (1,) * (np.ndim(value) - array.ndim)  # extra leading axes of length 1 are ignored
                np.broadcast_to(value, leading + array.shape)  # pycaffe assigns with numpy's broadcasting
            except ValueError:
                fits = False
            if not fits:
                raise ArrayError(
                    f'{what} "{name}" has shape {list(array.shape)}, but was given {list(np.shape(value))}. '
                    f'Reshape it first: net.blobs["{name}"].reshape(…).'
                )
            array[...] = value

    def _batch(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return batched.batches(self, arrays)


def _bound(layer: Layer, blobs: BlobVec) -> BoundLayer | python.UserLayer:
    """What `Net.layers` lists. A Python layer is listed as the user's own object, whose methods can be called."""
    return layer.user if isinstance(layer, python.Python) else BoundLayer(layer, blobs)
