"""get_cifar10: downloads and checks CIFAR-10, and builds the two databases that configs/models/cifar10_quick reads."""

import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from zlib import error as zlib_error

import click

from engine import log
from engine.data.lmdb_reader import LMDB
from engine.errors import DataError
from engine.host import atomic_file
from engine.tools import command, convert_cifar_data, download, mirrors
from engine.tools.command import tool
from engine.tools.convert_cifar_data import RECORD, TEST, TRAIN
from engine.tools.mirrors import Mirrors

URLS = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE = "cifar-10-binary.tar.gz"
SHA256 = {
    ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
DATABASES = {"cifar10_train_lmdb": TRAIN, "cifar10_test_lmdb": TEST}
PICTURES = 10_000
"""Per batch."""
LARGEST = 1 << 28
"""Bytes: an upper bound of the archive's size."""

EPILOG = """\b
Examples:
  scripts/get_cifar10                       download it (170 MB; the proxy is taken from https_proxy)
  scripts/get_cifar10 --from ~/Downloads    take cifar-10-binary.tar.gz, or its contents, from a folder

Builds cifar10_train_lmdb and cifar10_test_lmdb. Nets look for them in the current folder, then beside their own files.
On a cluster whose nodes have no internet access, run it on the login node, or download the archive elsewhere, copy it
and use --from.
"""


@tool("get_cifar10", EPILOG)
@click.option("--from", "folder", metavar="DIR", type=Path, help="Take the archive, or its batches, from this folder.")
@click.option("--to", metavar="DIR", type=Path, default=Path(), help="Build the databases in this folder, not here.")
def get_cifar10(folder: Path | None, to: Path) -> None:
    """Download CIFAR-10's binary version, check it, and build two databases of its 60,000 pictures."""
    get(folder, to)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(get_cifar10, argv)


def get(folder: Path | None, to: Path, urls: Sequence[str] = URLS) -> None:
    """Builds the databases in `to` from the files in `folder`, or for None downloads these. Complete databases stay.

    Raises DataError.
    """
    if not to.is_dir():
        raise DataError(f"{to}: no such folder.")
    missing = {name: batches for name, batches in DATABASES.items() if not _there(to / name, PICTURES * len(batches))}
    if not missing:
        return
    if folder is None:
        folder = mirrors.cache("cifar10")
        files = {ARCHIVE: partial(check, digest=SHA256[ARCHIVE])}
        mirrors.fetch(folder, files, Mirrors("CIFAR-10", urls, LARGEST))
    with atomic_file.writing(to, DataError), tempfile.TemporaryDirectory(prefix=".cifar10-", dir=to) as workspace:
        batches = _batches(folder, Path(workspace))
        for name, parts in missing.items():
            new = Path(workspace) / name
            convert_cifar_data.write(new, [batches / part for part in parts], "lmdb")
            new.rename(to / name)
            log.info("get_cifar10", f"Made {to / name}: {PICTURES * len(parts)} records.")


def check(path: Path, digest: str) -> None:
    """Raises DataError unless the file has the SHA-256 `digest`."""
    found = download.digest(path, "sha256")
    if found != digest:
        raise DataError(f"{path}: its SHA-256 is {found}, but CIFAR-10's is {digest}. Fetch it again.")


def _there(database: Path, records: int) -> bool:
    if not database.exists():
        return False
    with closing(LMDB(database)) as db:
        found = db.entries
    if found != records:
        raise DataError(f"{database}: already exists, with {found:,} records. Remove it, or use --to.")
    log.info("get_cifar10", f"{database} already exists, with {found} records.")
    return True


def _batches(folder: Path, room: Path) -> Path:
    """The folder with the batches, checked: `folder`, its sub-folder, or `room`, into which the archive is unpacked."""
    for place in (folder, folder / "cifar-10-batches-bin"):
        if all((place / name).is_file() for name in (*TRAIN, *TEST)):
            for name in (*TRAIN, *TEST):
                check(place / name, SHA256[name])
            return place
    archive = folder / ARCHIVE
    if not archive.is_file():
        raise DataError(f"{folder}: has neither {ARCHIVE} nor its contents, {TRAIN[0]} … {TEST[0]}.")
    check(archive, SHA256[ARCHIVE])
    _unpack(archive, room)
    return room


def _unpack(archive: Path, room: Path) -> None:
    """Extracts only the batches of an archive into `room`, whatever folders they are in."""
    missing = {*TRAIN, *TEST}
    try:
        with tarfile.open(archive) as files:
            for member in files:
                name = Path(member.name).name
                if name in missing and member.isfile() and member.size == PICTURES * RECORD:
                    content = files.extractfile(member)
                    assert content is not None
                    (room / name).write_bytes(content.read())
                    missing.remove(name)
    except (tarfile.TarError, EOFError, zlib_error) as e:
        raise DataError(f"{archive}: the archive is damaged or incomplete: {e}. Fetch it again.") from e
    if missing:
        raise DataError(f"{archive}: has no {', '.join(sorted(missing))}.")


if __name__ == "__main__":
    raise SystemExit(main())
