"""What a job takes along, piece by piece: files and databases that are there, and the fields that name them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError


@dataclass(frozen=True)
class Item:
    """Something that is shipped, or used where it lies: a file, or a folder of which only `members` are meant.

    `path` is absolute. `members` are relative to it; for a single file they are empty. `there`: this machine has not
    got it, and the cluster is to have it at this path; `members` are then what shows that it does.
    """

    role: str
    path: Path
    members: tuple[PurePosixPath, ...] = ()
    there: bool = False

    @cached_property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.path / m for m in self.members) if self.members else (self.path,)


@dataclass(frozen=True)
class Reference:
    """A field of one of the definitions that names an item: where to write the item's new place."""

    definition: str
    field: tuple[str | int, ...]
    item: Item


def exists(path: Path, asked: str) -> bool:
    """Raises ManifestError for a name that no file can have, as one of more than 255 bytes."""
    try:
        return path.exists()
    except OSError as error:
        raise ManifestError(f"{asked}: {path}: {error.strerror}") from None


def file(role: str, path: Path, asked: str, named_in: Path, *, remote: bool = False) -> Item:
    """`remote`: the job runs on another machine, which may have a file of an absolute path that is not here.

    Raises ManifestError for what cannot be read, or is no file.
    """
    if not exists(path, asked):
        if remote and path.is_absolute():
            return Item(role, path, there=True)
        raise ManifestError(f"{asked}: no {role} at {path}{_looked(path, named_in, remote)}")
    if not path.is_file():
        raise ManifestError(f"{asked}: {path} is no file, and a {role} is one")
    if not os.access(path, os.R_OK):
        raise ManifestError(f"{asked}: {path} may not be read: see its permissions")
    return Item(role, path.absolute())


def database(path: Path, backend: int, asked: str, named_in: Path, *, remote: bool = False) -> Item:
    """An LMDB is data.mdb in its folder; a LevelDB is a folder with a CURRENT and all that lies beside it. `remote`: as
    for `file`. Raises ManifestError for what is none."""
    kind, mark = ("LMDB", "data.mdb") if backend == pb.DataParameter.LMDB else ("LevelDB", "CURRENT")
    if not exists(path, asked):
        if remote and path.is_absolute():
            return Item("database", path, (PurePosixPath(mark),), there=True)
        raise ManifestError(f"{asked}: no {kind} at {path}{_looked(path, named_in, remote)}")
    if not (path / mark).is_file():
        other = {"data.mdb": "CURRENT", "CURRENT": "data.mdb"}[mark]
        hint = " (the other kind of database lies there: set data_param.backend)" if (path / other).is_file() else ""
        raise ManifestError(f"{asked}: {path} is no {kind}: it holds no file {mark}{hint}")
    if (path / mark).stat().st_size == 0:
        raise ManifestError(f"{asked}: {path / mark} is empty: make the database again")
    if mark == "data.mdb":
        return Item("database", path.absolute(), (PurePosixPath(mark),))
    names = sorted(p.name for p in path.iterdir() if p.is_file() and p.name not in ("LOCK", "LOG", "LOG.old"))
    return Item("database", path.absolute(), tuple(map(PurePosixPath, names)))


def images(root: Path, members: tuple[PurePosixPath, ...], listing: Path, asked: str, *, remote: bool = False) -> Item:
    """The pictures of a list. Caffe joins root_folder and each name as they stand; so a root of `/` serves lists of
    absolute paths. `remote`: as for `file`, by the first of them. Raises ManifestError where that is not there."""
    if exists(root / members[0], asked):
        return Item("images", root, members)
    if remote:
        return Item("images", root, members[:1], there=True)
    raise ManifestError(f"{asked}: {listing} lists {members[0]}, and {root / members[0]} is not there")


def _looked(path: Path, named_in: Path, remote: bool) -> str:
    looked = "" if path.is_absolute() else f" (looked in {Path.cwd()} and beside the file that names it)"
    beside = named_in.parent / path.name
    if path.name and beside.exists():
        return f"{looked}. {beside} has that name: write {path.name}"
    there = "; what the cluster has already is named by its whole path there" if remote else ""
    return f"{looked}. Make or fetch it first, or correct the path{there}"


def with_siblings(state: Item) -> Item:
    """A solver state with its model, and whatever else bears its name up to the suffix. Raises ManifestError."""
    stem = state.path.name.removesuffix(".h5").removesuffix(".solverstate")
    members = tuple(PurePosixPath(p.name) for p in _siblings(state.path.parent, stem))
    if not any(".caffemodel" in m.name for m in members):
        raise ManifestError(f"--resume: {state.path}: its model, {stem}.caffemodel, is not beside it")
    return Item(state.role, state.path.parent, (PurePosixPath(state.path.name), *members))


def _siblings(folder: Path, stem: str) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(f"{stem}.") and not path.name.removesuffix(".h5").endswith(".solverstate"):
            yield path
