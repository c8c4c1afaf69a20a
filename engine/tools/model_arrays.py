"""Reads the arrays in a model or a solver state, without the net that they belong to."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data import hdf5_file
from engine.errors import SnapshotError
from engine.proto import binary
from engine.proto import caffe_pb2 as pb
from engine.solver.snapshot import formats

MOST, DEEPEST = 20_000, 16
"""Limits on an HDF5 file's number of groups and arrays and on their depth: more than any net has, but exceeded by a
file whose links form a cycle."""

_NUMBER = re.compile("[0-9]{1,18}")  # int() would refuse thousands of digits


@dataclass(frozen=True)
class Entry:
    """The array number `index` of a layer: `values`, float32. `type` is "" for HDF5 files, which do not store it."""

    layer: str
    type: str
    index: int
    values: np.ndarray


@dataclass(frozen=True)
class Contents:
    """A file's contents. `about`: a description for the user."""

    about: str
    entries: list[Entry]


@dataclass(frozen=True)
class Statistics:
    """The Euclidean norm, the least and the largest of the finite values (nan if there are none), and the share of
    zeros among all values. `others`: how many values are not finite."""

    norm: float
    least: float
    largest: float
    zeros: float
    others: int


def read(path: Path) -> Contents:
    """Reads a .caffemodel or a .solverstate, binary or HDF5. Raises SnapshotError and PrototxtError."""
    if ".solverstate" in path.name:
        state = formats.read_state(path)
        entries = [Entry("history", "", i, values) for i, values in enumerate(state.history)]
        return Contents(f"solver state of iteration {state.iteration:,}, its model: {state.learned_net}", entries)
    if hdf5_file.is_hdf5(path):
        with hdf5_file.opened(path, SnapshotError) as file:
            if "data" not in file:
                raise file.wrong("this is not a model: it has no group /data.")
            return Contents("model in HDF5", list(_in_group(file)))
    net = binary.read_net(path)
    try:
        entries = [
            Entry(layer.name, layer.type, i, binary.to_array(blob))
            for layer in net.layer
            for i, blob in enumerate(layer.blobs)
        ]
    except SnapshotError as e:
        raise SnapshotError(f"{path}: {e}") from e
    return Contents(_about(net), entries)


def statistics(values: np.ndarray) -> Statistics:
    """The statistics of an array. Sums are accumulated in float64."""
    finite = values[np.isfinite(values)]
    return Statistics(
        float(np.sqrt(np.square(finite, dtype=np.float64).sum())),
        float(finite.min()) if finite.size else math.nan,
        float(finite.max()) if finite.size else math.nan,
        float(np.count_nonzero(values == 0)) / values.size if values.size else 0.0,
        values.size - finite.size,
    )


def _about(net: pb.NetParameter) -> str:
    return f'model of net "{net.name}", {len(net.layer)} layers'


def _in_group(file: hdf5_file.HDF5File) -> Iterator[Entry]:
    """The arrays below /data, in the order of the layers' names, which may contain slashes."""
    groups, count = ["data"], 0
    while groups:
        group = groups.pop()
        names = file.members(group)
        count += 1 + len(names)
        if count > MOST or group.count("/") > DEEPEST:
            raise file.wrong(f"it has more than {MOST:,} groups and arrays, or more than {DEEPEST} levels of them.")
        arrays = [name for name in names if file.is_dataset(f"{group}/{name}")]
        for name in sorted(arrays, key=lambda name: (len(name), name)):
            if not _NUMBER.fullmatch(name):
                raise file.wrong(f'"{group}/{name}" is not an array of a layer: those are called 0, 1 and so on.')
            yield Entry(group.removeprefix("data/"), "", int(name), file.numbers(f"{group}/{name}"))
        groups += sorted((f"{group}/{name}" for name in names if name not in arrays), reverse=True)
