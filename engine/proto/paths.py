"""Resolves relative paths in a prototxt."""

from pathlib import Path

from engine.host.regular_file import exists
from engine.proto import raw_bytes


def resolve(path: str, named_in: str | Path | None = None) -> Path:
    """The file or folder that `path`, written in the file `named_in`, refers to.

    Like Caffe, this first looks relative to the current directory; if nothing is there, relative to the folder of
    `named_in`, so that a model's folder works from anywhere. A path found in neither place is returned as given, so
    that the error about it shows what the user wrote.
    """
    target = native(path)
    if named_in is None or target.is_absolute() or exists(target):
        return target
    beside = Path(named_in).parent / target
    return beside if exists(beside) else target


def below(root_folder: str, name: str, source: str | Path, definition: str | Path | None) -> Path:
    """The file that the list `source` calls `name`, in a layer of the prototxt `definition`.

    As in Caffe, root_folder and name are simply concatenated. A relative result may refer to the folder of the file
    that its beginning is written in: the prototxt if there is a root_folder, otherwise the list.
    """
    return resolve(root_folder + name, definition if root_folder else source)


def passed_over(path: str, named_in: str | Path) -> Path | None:
    """The file or folder beside the file `named_in` that `resolve` ignores, because another one with the same path
    exists relative to the current directory; None if there is none."""
    target = native(path)
    beside = Path(named_in).parent / target
    if not path or target.is_absolute() or not exists(target) or not exists(beside) or target.samefile(beside):
        return None
    return beside


def listed(line: str, source: str | Path) -> list[str]:
    """The names on a line of the list `source`: each word is one, as in Caffe, unless the whole line is the name of an
    existing file.
    """
    stripped, words = line.strip(), line.split()
    return [stripped] if len(words) > 1 and exists(resolve(stripped, source)) else words


def native(path: str) -> Path:
    """The path that a string in a message stands for, whatever bytes it consists of."""
    return Path(raw_bytes.native(path))
