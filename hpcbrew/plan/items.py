"""The files and databases that a job needs, one item each, and the fields that name them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError


@dataclass(frozen=True)
class Item:
    """Something that is uploaded or used in place: a file, or the `members` of a folder.

    `path` is absolute. `members` are relative to it, and empty for a single file. `on_cluster`: this machine does not
    have it, and the cluster is expected to have it at this path; `members` are then the files that prove it.
    """

    role: str
    path: Path
    members: tuple[PurePosixPath, ...] = ()
    on_cluster: bool = False

    @cached_property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.path / m for m in self.members) if self.members else (self.path,)


@dataclass(frozen=True)
class Reference:
    """A field in one of the definitions that names an item, to be rewritten with the item's new place."""

    definition: str
    field: tuple[str | int, ...]
    item: Item


def exists(path: Path, location: str) -> bool:
    """Whether the path exists. Raises ManifestError for an impossible name, such as one of more than 255 bytes."""
    try:
        return path.exists()
    except OSError as error:
        raise ManifestError(f"{location}: {path}: {error.strerror}") from None


def file(role: str, path: Path, location: str, named_in: Path, *, remote: bool = False) -> Item:
    """Returns a file as an item. `remote`: the job runs on another machine, which may have a file at an absolute path
    where there is none here.

    Raises ManifestError for what cannot be read or is not a file.
    """
    if not exists(path, location):
        if remote and path.is_absolute():
            return Item(role, path, on_cluster=True)
        raise ManifestError(f"{location}: no {role} at {path}{_where_looked(path, named_in, remote)}")
    if not path.is_file():
        raise ManifestError(f"{location}: {path} is not a file, but a {role} must be one")
    if not os.access(path, os.R_OK):
        raise ManifestError(f"{location}: {path} cannot be read: check its permissions")
    return Item(role, path.absolute())


def database(path: Path, backend: int, location: str, named_in: Path, *, remote: bool = False) -> Item:
    """Returns a database as an item. An LMDB is data.mdb in its folder; a LevelDB is a folder with a CURRENT and the
    files beside it. `remote`: as for `file`. Raises ManifestError for anything else."""
    kind, mark = ("LMDB", "data.mdb") if backend == pb.DataParameter.LMDB else ("LevelDB", "CURRENT")
    if not exists(path, location):
        if remote and path.is_absolute():
            return Item("database", path, (PurePosixPath(mark),), on_cluster=True)
        raise ManifestError(f"{location}: no {kind} at {path}{_where_looked(path, named_in, remote)}")
    if not (path / mark).is_file():
        other = {"data.mdb": "CURRENT", "CURRENT": "data.mdb"}[mark]
        hint = " (it is the other kind of database: set data_param.backend)" if (path / other).is_file() else ""
        raise ManifestError(f"{location}: {path} is not a {kind}: it contains no file {mark}{hint}")
    if (path / mark).stat().st_size == 0:
        raise ManifestError(f"{location}: {path / mark} is empty: create the database again")
    if mark == "data.mdb":
        return Item("database", path.absolute(), (PurePosixPath(mark),))
    names = sorted(p.name for p in path.iterdir() if p.is_file() and p.name not in ("LOCK", "LOG", "LOG.old"))
    return Item("database", path.absolute(), tuple(map(PurePosixPath, names)))


def images(
    root: Path, members: tuple[PurePosixPath, ...], listing: Path, location: str, *, remote: bool = False
) -> Item:
    """Returns the pictures of a list as an item. Caffe concatenates root_folder and each name, so a root of `/` serves
    lists of absolute paths. `remote`: as for `file`, judged by the first picture. Raises ManifestError if that one is
    missing."""
    if exists(root / members[0], location):
        return Item("images", root, members)
    if remote:
        return Item("images", root, members[:1], on_cluster=True)
    raise ManifestError(f"{location}: {listing} lists {members[0]}, but {root / members[0]} does not exist")


def _where_looked(path: Path, named_in: Path, remote: bool) -> str:
    places = "" if path.is_absolute() else f" (looked in {Path.cwd()} and beside the file that names it)"
    sibling = named_in.parent / path.name
    if path.name and sibling.exists():
        return f"{places}. {sibling} has that name: write {path.name}"
    hint = "; if the cluster has it already, give its absolute path there" if remote else ""
    return f"{places}. Create or download it first, or correct the path{hint}"


def with_siblings(state: Item) -> Item:
    """Adds to a solver state its model and all other files with its name up to the suffix. Raises ManifestError."""
    stem = state.path.name.removesuffix(".h5").removesuffix(".solverstate")
    members = tuple(PurePosixPath(p.name) for p in _siblings(state.path.parent, stem))
    if not any(".caffemodel" in m.name for m in members):
        raise ManifestError(f"--resume: {state.path}: its model, {stem}.caffemodel, is not beside it")
    return Item(state.role, state.path.parent, (PurePosixPath(state.path.name), *members))


def _siblings(folder: Path, stem: str) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(f"{stem}.") and not path.name.removesuffix(".h5").endswith(".solverstate"):
            yield path
