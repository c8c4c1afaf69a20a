"""Where a relative path in a prototxt points to."""

from pathlib import Path

from engine.host.regular_file import exists
from engine.proto import raw_bytes


def resolve(path: str, named_in: str | Path | None = None) -> Path:
    """The file or folder that `path`, found in the file `named_in`, stands for.

    Caffe looks from the current directory. So does this, first; where nothing is there, it looks from the folder of
    `named_in`, so that a model's folder works from anywhere. A path that is in neither place comes back as it was
    given: the error about it then shows what the user wrote.
    """
    given = native(path)
    if named_in is None or given.is_absolute() or exists(given):
        return given
    beside = Path(named_in).parent / given
    return beside if exists(beside) else given


def below(root_folder: str, name: str, source: str | Path, definition: str | Path | None) -> Path:
    """The file that the list `source` calls `name`, in a layer of the prototxt `definition`.

    Caffe joins root_folder and name as they stand. Who wrote the beginning of the path, named it: the prototxt, where
    there is a root_folder, and else the list.
    """
    return resolve(root_folder + name, definition if root_folder else source)


def passed_over(path: str, named_in: str | Path) -> Path | None:
    """The file or folder of that name beside the file `named_in`, where `resolve` takes another that is here."""
    given = native(path)
    beside = Path(named_in).parent / given
    if not path or given.is_absolute() or not exists(given) or not exists(beside) or given.samefile(beside):
        return None
    return beside


def listed(line: str, source: str | Path) -> list[str]:
    """The names on a line of the list `source`: each word is one, as Caffe reads it, unless a file is called as the
    whole line is.
    """
    whole, words = line.strip(), line.split()
    return [whole] if len(words) > 1 and exists(resolve(whole, source)) else words


def native(path: str) -> Path:
    """The path that a string of a message stands for, whatever bytes it is made of."""
    return Path(raw_bytes.native(path))
