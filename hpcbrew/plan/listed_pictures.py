"""What the files of a list come to in its layer: some are no pictures, or of sizes that do not fit. The engine would
find it too, once the job has waited for its turn."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError
from hpcbrew.plan import picture_header
from hpcbrew.plan.picture_fit import PictureFit
from hpcbrew.plan.picture_header import Header, NoPicture

MOST = 2000
"""Pictures whose files are looked at, evenly spread over a list."""


def check_files(root: Path, members: Sequence[PurePosixPath], layer: pb.LayerParameter, asked: str) -> None:
    """Looks at the files of a list, of a long one at some. Raises ManifestError for one that is not there, that is no
    picture, or whose size does not fit the layer or the pictures before it."""
    step = max(1, -(-len(members) // MOST))
    chosen = dict.fromkeys([*members[::step], members[-1]])
    fits = PictureFit(layer, asked)
    for path, header in headers(root / member for member in chosen):
        if isinstance(header, NoPicture):
            raise ManifestError(f"{asked}: {path} {header}")
        fits.check(str(path), header)


def headers(paths: Iterable[Path]) -> Iterable[tuple[Path, Header | NoPicture]]:
    """What each file's first bytes say."""
    for path in paths:
        try:
            yield path, picture_header.read(path)
        except NoPicture as error:
            yield path, error
