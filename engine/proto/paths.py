"""Where a relative path in a prototxt points to."""

from pathlib import Path


def resolve(path: str, named_in: str | Path | None = None) -> Path:
    """The file or folder that `path`, found in the file `named_in`, stands for.

    Caffe looks from the current directory. So does this, first; where nothing is there, it looks from the folder of
    `named_in`, so that a model's folder works from anywhere. A path that is in neither place comes back as it was
    given: the error about it then shows what the user wrote.
    """
    given = Path(path)
    if named_in is None or given.is_absolute() or given.exists():
        return given
    beside = Path(named_in).parent / given
    return beside if beside.exists() else given
