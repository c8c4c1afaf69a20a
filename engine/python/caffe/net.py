"""`caffe.Net`: a net whose blobs lie open as numpy arrays."""

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
"""What a net has once it is made."""


class BoundLayer(Uncopied, python.UserLayer):
    """A layer as `Net.layers` lists it: its `type`, and its parameters as `blobs`; a `caffe.Layer`, as in Caffe."""

    def __init__(self, layer: Layer, blobs: BlobVec) -> None:
        self.type = layer.type
        self.blobs = blobs


class Net(Uncopied):
    """A net, its parameters and what it computed last.

    blobs: every blob by name. params: for each layer that has some, its parameters. layers, layer_dict: the layers.
    inputs, outputs: the blobs that the caller fills, and those that no layer reads. top_names, bottom_names: for each
    layer, the blobs that it makes and reads. blob_loss_weights: each blob's weight in the loss. Those that begin with
    an underscore are Caffe's own, by number in place of name.
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
        """Reads a net's text file and, with `weights`, a model. Net(file, weights) and Net(file, weights, phase), the
        older forms, work too.

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
        """A view of `net`, of its parameters and of its data, which someone else owns too."""
        made = cls.__new__(cls)
        made._open(net, params, batches)
        return made

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
        # A loss starts its gradient with its weight, which lies in its diff, where it can be changed.
        starts = {blob: w for blob, w in weighted if w}
        self._blobs_dict = blobs = OrderedDict(
            (blob, Blob(*shape, fill_diff=starts.get(blob, 0.0))) for blob, shape in net.blob_shapes.items()
        )
        rows = [self._row(i) for i in range(len(net.layers))]
        self._layer_list = [_bound(layer, row) for layer, row in zip(net.layers, rows, strict=True)]
        vars(self).update(name=net.name)  # a program's subclass may have a property of this name
        self._layer_dict = OrderedDict(zip(self._layer_names, self._layer_list, strict=True))
        self._params_dict = OrderedDict((name, row) for name, row in zip(self._layer_names, rows, strict=True) if row)
        for layer, node, tops, row in zip(net.layers, net.graph.nodes, net.tops, rows, strict=True):
            if isinstance(layer, python.Python):
                layer.bind([blobs[v.blob] for v in node.bottoms], [blobs[v.blob] for v in tops], row)
        self._passes = Passes(net, blobs, params, batches)

    def __getattr__(self, name: str) -> Any:
        if name in MADE and "_passes" not in vars(self):
            raise ArgumentError(
                f"this {type(self).__name__} is no net yet: its __init__ has to call caffe.Net.__init__(self, FILE, "
                "PHASE) first."
            )
        raise former.missing(f"{type(self).__name__!r} object", name)

    # What it has, to be read. pycaffe keeps it under the names with an underscore, which programs read too.

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
        """Runs the layers from `start` to `end`, both included; all without them.

        inputs: the values of all input blobs, by name. Returns the outputs (with `end`, its tops) and those in `blobs`.
        Raises NetError for names that the net does not have and for inputs that do not fit.
        """
        first, last = self._index(start, 0), self._index(end, len(self._net.layers) - 1)
        wanted = self._known([*(self.outputs if end is None else self.top_names[end]), *(blobs or ())])
        if inputs:
            self._fill(inputs, self.inputs, "input")
        self._passes.forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self, diffs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **gradients: Any
    ) -> Arrays:
        """Runs the layers from `start` down to `end`, both included; all without them.

        gradients: the `diff` of all outputs, by name; else what these hold (a loss: its weight). The diffs of
        parameters add up from call to call; see clear_param_diffs. Returns the diffs of the inputs (with `end`, of its
        bottoms) and of the blobs in `diffs`.
        """
        first, last = self._index(start, len(self._net.layers) - 1), self._index(end, 0)
        wanted = self._known([*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())])
        if gradients:
            self._fill(gradients, self.outputs, "output")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: Any) -> Arrays:
        """`forward` on any number of examples, a batch at a time; of a scalar (a loss) there is one value a batch."""
        return batched.forward(self, list(blobs or ()), inputs)

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **arrays: Any
    ) -> tuple[Arrays, Arrays]:
        """`forward` and `backward` on any number of examples and gradients of the outputs, a batch at a time."""
        return batched.forward_backward(self, list(blobs or ()), list(diffs or ()), arrays)

    def reshape(self) -> None:
        """Gives every blob the shape that follows from the inputs' present ones. Raises LayerError where none does."""
        self._passes.reshape()

    def _forward(self, start: int, end: int, key: jax.Array | None = None) -> float:
        """Layers start … end, by number. Returns the loss: Σ diff · data of their tops that have a weight in the loss,
        which lies in their diff.
        """
        self._check_numbers(start, end)
        self._passes.forward(start, end, key)
        loss = 0.0
        for tops, weights in zip(self._net.tops[start : end + 1], self._net.loss_weights[start : end + 1], strict=True):
            weighted = [self.blobs[v.blob] for v, w in zip(tops, weights, strict=True) if w]
            loss += sum(float(np.vdot(blob.diff, blob.data)) for blob in weighted)
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Layers start, start − 1, … end, by number."""
        self._check_numbers(end, start)
        self._passes.backward(start, end)

    def before_forward(self, run: Hook) -> None:
        """Has `run(i)` called before the forward of each layer i; as the three below, after or before its passes."""
        self._passes.before_forward.append(run)

    def after_forward(self, run: Hook) -> None:
        self._passes.after_forward.append(run)

    def before_backward(self, run: Hook) -> None:
        self._passes.before_backward.append(run)

    def after_backward(self, run: Hook) -> None:
        self._passes.after_backward.append(run)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """What the net's MemoryData layer hands out: data (n, channels, height, width), labels (n,), round and round.

        n is a multiple of the batch size. Raises NetError without such a layer, DataError for arrays that do not fit.
        """
        for layer in self._net.layers:
            if isinstance(layer, MemoryData) and (feed := self._passes.batches.feed):
                feed.restore({layer.name: {"at": 0}})
                feed.source(layer.name).set(data, labels)  # type: ignore[attr-defined]
                return
        raise NetError("set_input_arrays: this net has no MemoryData layer.")

    @property
    def hooked(self) -> bool:
        """Whether something is called between its layers."""
        passes = self._passes
        return bool(passes.before_forward or passes.after_forward or passes.before_backward or passes.after_backward)

    # Parameters

    def show_update(self, params: Sequence[Any], steps: Sequence[Any]) -> None:
        """An update has made these parameters; as in Caffe, their diffs hold what it took off."""
        for blob, value in zip(self._owned, params, strict=True):
            blob.put(value)
        for blob, step in zip(self._owned, steps, strict=False):
            blob.put_gradient(step)

    def copy_from(self, weights: "File | Net") -> None:
        """Takes the parameters of the layers that a model, binary or HDF5, or another net has by the same names.

        Raises SnapshotError where it cannot be read or a shape differs; the parameters are then as they were.
        """
        if isinstance(weights, Net):
            models.copy(self._net, self._owned, weights.params, f"net {weights.name!r}")
        else:
            models.copy(self._net, self._owned, named(weights, "copy_from"))

    def load_hdf5(self, weights: File) -> None:
        """`copy_from` an HDF5 model."""
        self.copy_from(weights)

    def save(self, path: File) -> None:
        """Writes the net and its parameters as a .caffemodel. Raises SnapshotError."""
        models.save(self._net, self._owned, named(path, "save"))

    def save_hdf5(self, path: File, write_diff: bool = False) -> None:
        """Writes the parameters, and with `write_diff` their diffs, as Caffe's HDF5 models. Raises SnapshotError."""
        models.save_hdf5(self._net, self._owned, named(path, "save_hdf5"), write_diff=write_diff)

    def share_with(self, other: "Net") -> None:
        """Uses the parameters of the layers that `other` has by the same names: a change in one shows in both.

        Raises NetError where counts or shapes differ.
        """
        if not isinstance(other, Net):
            raise ArgumentError(f"share_with takes a net, and this is {type(other).__name__}.")
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
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in self.blobs:
                raise UnknownBlobError(f'this net has no blob "{name}"; it has {", ".join(self.blobs)}.')
        return wanted

    def _fill(self, given: Mapping[str, Any], names: Sequence[str], what: str) -> None:
        if set(given) != set(names):
            raise NetError(
                f"{what}s given: {', '.join(given)}; the net's {what}s are {', '.join(names) or 'none'}: give them all."
            )
        for name, value in given.items():
            array = self.blobs[name].data if what == "input" else self.blobs[name].diff
            try:
                fits = np.shape(value)[:1] == array.shape[:1]
                more = (1,) * (np.ndim(value) - array.ndim)  # axes in front are no matter where they are of length 1
                np.broadcast_to(value, more + array.shape)  # as numpy stretches what is assigned, and Caffe with it
            except ValueError:
                fits = False
            if not fits:
                raise ArrayError(
                    f'{what} "{name}" has shape {list(array.shape)} and was given {list(np.shape(value))}. '
                    f'Reshape it first: net.blobs["{name}"].reshape(…).'
                )
            array[...] = value

    def _batch(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return batched.batches(self, arrays)


def _bound(layer: Layer, blobs: BlobVec) -> BoundLayer | python.UserLayer:
    """A Python layer is listed as the object that its user made, whose methods can be called."""
    return layer.user if isinstance(layer, python.Python) else BoundLayer(layer, blobs)
