"""The lists that data layers read: of images, pairs of images, videos, windows, HDF5 files. Here only their paths
matter."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from engine.data.spelt_numbers import integer
from engine.host import regular_file
from engine.proto import caffe_pb2 as pb
from engine.proto import frame_names, paths
from hpcbrew.errors import ManifestError

LONGEST = 2**16
"""The most characters read of a single line."""

MOST_FRAMES = 10**6
"""The most frames that a list may give for one video: ten hours."""


def read_hdf5(path: Path, location: str) -> list[str]:
    """Reads the paths in an HDF5Data layer's list, one or several per line."""
    return _some([name for line in _lines(path, location) for name in paths.listed(line, path)], path, location)


@dataclass(frozen=True)
class ImageList:
    """A list of images: names, and parallel to them labels and line numbers, both of which are empty for a list without
    labels."""

    names: list[str]
    labels: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def first_lines(self) -> dict[int, int]:
        """Returns each label with the number of the first line that has it."""
        lines: dict[int, int] = {}
        for label, line in zip(self.labels, self.lines, strict=True):
            lines.setdefault(label, line)
        return lines


def read_images(path: Path, location: str, num_labels: int = 0) -> ImageList:
    """Reads an ImageData layer's list: `NAME LABEL`, where NAME may contain spaces; either all lines have a label or
    none has.

    With `num_labels`, lines are `NAME NUMBER … NUMBER`, with that many numbers, which are not classes. Raises
    ManifestError, like the other readers of lists; the message names the field (`location`) that names the list.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_lines(path, location), 1) if line.strip()]
    if num_labels:
        return ImageList(_some([line.rsplit(None, num_labels)[0] for _, line in lines], path, location))
    if not any(" " in line for _, line in lines):
        return ImageList(_some([line for _, line in lines], path, location))
    image_list = ImageList([])
    for number, line in lines:
        name, _, word = line.rpartition(" ")
        label = integer(word)
        if not name or label is None:
            raise ManifestError(f"{path}:{number}: {line!r} is not a valid line of a list of images: write NAME LABEL")
        image_list.names.append(name)
        image_list.labels.append(label)
        image_list.lines.append(number)
    _some(image_list.names, path, location)
    return image_list


def first_image(path: Path, num_labels: int = 0) -> str:
    """Returns the first name in an ImageData layer's list, without reading the whole list. Raises OSError and
    UnicodeDecodeError."""
    with regular_file.opened(path) as (descriptor, _), open(descriptor, encoding="utf-8", closefd=False) as file:
        line = file.readline(LONGEST).strip()
    return line.rsplit(None, max(1, num_labels))[0] if " " in line else line


def has_pairs(layer: pb.LayerParameter) -> bool:
    """Whether each line of a layer's list names a picture and a second one with its per-pixel labels."""
    p = layer.image_data_param
    always = layer.type in ("DenseImageData", "ImageLabelmapData")
    return always or (layer.type == "ImageSegData" and p.label_type == p.PIXEL)


def read_pairs(path: Path, location: str) -> list[str]:
    """Reads both names of each line in such a layer's list, a picture and its labels: `NAME LABELS`. Raises
    ManifestError."""
    lines = [(number, line.strip().rsplit(None, 1)) for number, line in enumerate(_lines(path, location), 1)]
    for number, names in lines:
        if len(names) == 1:
            raise ManifestError(
                f"{path}:{number}: {names[0]!r} is not a valid line of a list of pairs: write NAME LABELS"
            )
    return _some([name for _, names in lines for name in names], path, location)


def read_videos(path: Path, param: pb.VideoDataParameter, location: str) -> list[str]:
    """Returns the frames of the videos in a VideoData layer's list, with lines `FOLDER FRAMES LABEL`. Raises
    ManifestError."""
    names = []
    for number, line in enumerate(_lines(path, location), 1):
        words = line.strip().rsplit(None, 2)
        frames = integer(words[1]) if len(words) == 3 else None
        if words and (frames is None or not 0 <= frames <= MOST_FRAMES):
            raise ManifestError(
                f"{path}:{number}: {line[:99]!r} is not a valid line of a list of videos: write FOLDER FRAMES LABEL, "
                f"with {MOST_FRAMES:,} frames at most"
            )
        for frame in range(1, (frames or 0) + 1):
            names += [f"{words[0]}/{name}" for name in frame_names.names(param, frame)]
    return _some(names, path, location)


def read_windows(path: Path, location: str) -> list[str]:
    """Reads the names in a list of windows: the word after each `# INDEX`, on the same line or the next."""
    lines = _lines(path, location)
    begins = (i for i, line in enumerate(lines) if line.startswith("#"))
    return _some([name for i in begins for name in " ".join(lines[i : i + 2]).split()[2:3]], path, location)


def root_and_members(
    root_folder: str, names: Iterable[str], listing: Path, prototxt: Path, location: str
) -> tuple[Path, tuple[PurePosixPath, ...]]:
    """Returns the folder that contains the names, and the names relative to it, each once.

    Caffe concatenates root_folder and name as they are. Absolute names without a root folder are taken relative to `/`.
    Relative names are looked up first in the current directory, as in Caffe, and then beside the file that names them:
    the `prototxt` if there is a root folder, and otherwise the list. Raises ManifestError.
    """
    unique = list(dict.fromkeys(names))
    absolute = [name.startswith("/") for name in unique]
    if root_folder and not root_folder.endswith("/") and not all(absolute):
        raise ManifestError(f"{location}: root_folder {root_folder!r} is put before each name as it is: end it with /")
    if not root_folder and any(absolute):
        if not all(absolute):
            relative_name = unique[absolute.index(False)]
            raise ManifestError(
                f"{location}: {listing} lists absolute paths, but also {relative_name!r}: use one kind or the other"
            )
        return Path("/"), tuple(PurePosixPath(name).relative_to("/") for name in unique)
    members = tuple(PurePosixPath(name.lstrip("/")) for name in unique)
    folder = Path.cwd() / root_folder
    try:
        exists = (folder / members[0]).exists()
    except OSError as error:
        raise ManifestError(f"{location}: {listing} lists {members[0]}: {error.strerror}") from None
    return (folder if exists else (prototxt if root_folder else listing).parent / root_folder), members


def _lines(path: Path, location: str) -> list[str]:
    try:
        return regular_file.read(path).decode().split("\n")
    except OSError as error:
        raise ManifestError(f"{location}: {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{location}: {path} is not valid text: {error.reason} at byte {error.start}") from None


def _some(names: list[str], path: Path, location: str) -> list[str]:
    if not names:
        raise ManifestError(f"{location}: {path} lists nothing")
    return names
