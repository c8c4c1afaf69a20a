"""Checks the files of a list for its layer: some may not be pictures, or their sizes may not fit. The engine would find
that too, but only after the job has waited in the queue."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError
from hpcbrew.plan import picture_header
from hpcbrew.plan.picture_fit import PictureFit
from hpcbrew.plan.picture_header import Header, NoPicture

MOST = 2000
"""The most pictures whose files are checked, evenly spread over a list."""


def check_files(root: Path, members: Sequence[PurePosixPath], layer: pb.LayerParameter, location: str) -> None:
    """Checks the files of a list, or a sample of a long list. Raises ManifestError for a file that does not exist, is
    not a picture, or has a size that does not fit the layer or the pictures before it."""
    step = max(1, -(-len(members) // MOST))
    sample = dict.fromkeys([*members[::step], members[-1]])
    fits = PictureFit(layer, location)
    for path, header in headers(root / member for member in sample):
        if isinstance(header, NoPicture):
            raise ManifestError(f"{location}: {path} {header}")
        fits.check(str(path), header)


def headers(paths: Iterable[Path]) -> Iterable[tuple[Path, Header | NoPicture]]:
    """Yields each file with its header, read from its first bytes."""
    for path in paths:
        try:
            yield path, picture_header.read(path)
        except NoPicture as error:
            yield path, error
