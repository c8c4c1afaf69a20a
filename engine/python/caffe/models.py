"""The parameters of open nets: into models and out of them, from one net to another, shared by two."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.blob import Blob, BlobVec
from engine.errors import NetError, SnapshotError
from engine.graph import model_fit
from engine.host import atomic_file
from engine.net import weights
from engine.net.net import Net
from engine.proto import binary
from engine.solver.snapshot import formats

Rows = Mapping[str, BlobVec]
"""The parameters of layers, by name."""


def copy(net: Net, params: Sequence[Blob], source: str | Path | Rows, name: str = "") -> None:
    """Into `params`, the blobs of `net.params`, those of the layers that a model or another net has by the same names.

    `name`: how errors call the other net. Raises SnapshotError; nothing is changed then.
    """
    before = [blob.data for blob in params]
    if isinstance(source, str | Path):
        found = formats.load_model(source, net, before)
    else:
        found = weights.load_blobs(net, before, {n: [blob.data for blob in row] for n, row in source.items()}, name)
    for blob, value in zip(before, found, strict=True):
        blob[...] = value


def save(net: Net, params: Sequence[Blob], path: str | Path) -> None:
    """As a .caffemodel. Raises SnapshotError."""
    binary.write(path, weights.to_model(net, [blob.data for blob in params]))


def save_hdf5(net: Net, params: Sequence[Blob], path: str | Path, *, write_diff: bool) -> None:
    """As Caffe's HDF5 models, with the diffs where `write_diff` asks for them. Raises SnapshotError."""
    diffs = [blob.diff for blob in params] if write_diff else None
    with atomic_file.writing(path, SnapshotError):
        formats.write_model_hdf5(Path(path), net, [blob.data for blob in params], diffs)


def share(net: Net, params: Sequence[Blob], own: Rows, theirs: Rows) -> None:
    """Has `own`, the rows of `params`, use the values of the layers of `theirs` that have the same names.

    Raises NetError where counts or shapes differ.
    """
    for i, name in enumerate(net.layer_names):
        if name not in theirs or (name in own and not net.param_ids[i]):
            continue
        here, there = ([b.shape for b in rows.get(name, ())] for rows in (own, theirs))
        if said := model_fit.unshared(name, there, here):
            raise NetError(f"share_with: {said}")
        for k, blob in zip(net.param_ids[i], theirs[name], strict=True):
            params[k].share_data(blob)
