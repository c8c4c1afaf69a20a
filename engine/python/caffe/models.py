"""The parameters of caffe.Nets: loads them from models or other nets, saves them, and shares them between nets."""

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
    """Copies the parameters of layers that `source`, a model or another net, has by the same names into `params`.

    `params`: the blobs of `net.params`. `name`: the other net's name in errors. Raises SnapshotError and then changes
    nothing.
    """
    before = [blob.data for blob in params]
    if isinstance(source, str | Path):
        values = formats.load_model(source, net, before)
    else:
        values = weights.load_blobs(net, before, {n: [blob.data for blob in row] for n, row in source.items()}, name)
    for blob, value in zip(before, values, strict=True):
        blob[...] = value


def save(net: Net, params: Sequence[Blob], path: str | Path) -> None:
    """Writes a .caffemodel. Raises SnapshotError."""
    binary.write(path, weights.to_model(net, [blob.data for blob in params]))


def save_hdf5(net: Net, params: Sequence[Blob], path: str | Path, *, write_diff: bool) -> None:
    """Writes a model in Caffe's HDF5 format, with the diffs if `write_diff` is set. Raises SnapshotError."""
    diffs = [blob.diff for blob in params] if write_diff else None
    with atomic_file.writing(path, SnapshotError):
        formats.write_model_hdf5(Path(path), net, [blob.data for blob in params], diffs)


def share(net: Net, params: Sequence[Blob], own: Rows, theirs: Rows) -> None:
    """Makes the layers of `own`, the rows of `params`, share the values of the layers with the same names in `theirs`.

    Raises NetError if counts or shapes differ.
    """
    for i, name in enumerate(net.layer_names):
        if name not in theirs or (name in own and not net.param_ids[i]):
            continue
        own_shapes, their_shapes = ([b.shape for b in rows.get(name, ())] for rows in (own, theirs))
        if complaint := model_fit.unshared(name, their_shapes, own_shapes):
            raise NetError(f"share_with: {complaint}")
        for k, blob in zip(net.param_ids[i], theirs[name], strict=True):
            params[k].share_data(blob)
