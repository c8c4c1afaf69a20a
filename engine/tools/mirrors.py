"""Downloads the files of a data set, each from the first mirror that delivers it intact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import DataError
from engine.host import user_cache
from engine.tools import download


@dataclass(frozen=True)
class Mirrors:
    """Where a data set's files are: at their names, appended to one of `urls`.

    `name`: the data set's name in messages. `largest`: an upper bound of the bytes in a file.
    """

    name: str
    urls: Sequence[str]
    largest: int


def cache(name: str) -> Path:
    """The folder in the user's cache for the files of a data set. Raises DataError for a user without a home folder."""
    try:
        return user_cache.home() / name
    except OSError as e:
        raise DataError(f"no cache folder to fetch {name} into ({e}): set XDG_CACHE_HOME, or use --from DIR.") from e


def fetch(folder: Path, files: Mapping[str, Callable[[Path], object]], mirrors: Mirrors) -> None:
    """Downloads the files that are missing or damaged in `folder`.

    `files`: for each name, a check that raises DataError if the file is damaged. Raises DataError with each mirror's
    error.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"{folder}: cannot be made: {e.strerror}.") from e
    for name, check in files.items():
        if _whole(folder / name, check):
            continue
        errors = []
        for url in mirrors.urls:
            try:
                _download(f"{url}{name}", folder / name, check, mirrors)
                break
            except DataError as e:
                errors.append(f"  {e}")
        else:
            count = "file" if len(files) == 1 else f"{len(files)} files"
            raise DataError(
                "\n".join([f"{name} cannot be fetched:", *errors])
                + f"\nWithout internet access (is https_proxy set?), copy the {count} here and use --from DIR."
            )


def _whole(path: Path, check: Callable[[Path], object]) -> bool:
    try:
        if path.is_file():
            check(path)
            return True
    except DataError:
        pass
    return False


def _download(url: str, path: Path, check: Callable[[Path], object], mirrors: Mirrors) -> None:
    def whole(part: Path) -> None:
        try:
            check(part)
        except DataError as e:
            raise DataError(f"{url}: the downloaded file is not {mirrors.name}'s: {e}") from e

    download.fetch(url, path, check=whole, has_digest=True, largest=mirrors.largest)
