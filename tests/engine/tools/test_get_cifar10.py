import hashlib
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from engine.data.lmdb_reader import LMDB
from engine.tools import get_cifar10
from engine.tools.convert_cifar_data import RECORD, TEST, TRAIN

BATCHES = (*TRAIN, *TEST)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `in` with batches of four pictures, which count as CIFAR-10's."""
    folder = tmp_path / "in" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for n, name in enumerate(BATCHES):
        rows = np.random.default_rng(n).integers(0, 10, (4, RECORD), np.uint8)
        (folder / name).write_bytes(rows.tobytes())
    (folder / "readme.html").write_text("not a batch")
    monkeypatch.setattr(get_cifar10, "PICTURES", 4)
    monkeypatch.setattr(get_cifar10, "SHA256", {name: digest(folder / name) for name in BATCHES})
    return folder.parent


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def packed(cifar: Path) -> Path:
    """The batches as the archive alone, in a folder of its own."""
    folder = cifar.parent / "packed"
    folder.mkdir()
    with tarfile.open(folder / get_cifar10.ARCHIVE, "w:gz") as archive:
        archive.add(cifar / "cifar-10-batches-bin", "cifar-10-batches-bin")
    get_cifar10.SHA256[get_cifar10.ARCHIVE] = digest(folder / get_cifar10.ARCHIVE)
    return folder


def got(folder: Path, to: Path) -> int:
    to.mkdir(exist_ok=True)
    return get_cifar10.main(["--from", str(folder), "--to", str(to)])


@pytest.mark.parametrize("kind", ["archive", "unpacked", "batches"])
def test_both_databases_are_made_and_stay(cifar: Path, tmp_path: Path, kind: str) -> None:
    folder = {"archive": packed, "unpacked": lambda c: c, "batches": lambda c: c / "cifar-10-batches-bin"}[kind](cifar)
    made = tmp_path / "made"
    assert got(folder, made) == 0
    assert {p.name: LMDB(p).entries for p in made.iterdir()} == {"cifar10_train_lmdb": 20, "cifar10_test_lmdb": 4}
    before = [p.stat().st_mtime_ns for p in made.iterdir()]
    assert got(folder, made) == 0
    assert [p.stat().st_mtime_ns for p in made.iterdir()] == before


def test_it_is_fetched_once(cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "made").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=packed(cifar))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        get_cifar10.get(None, tmp_path / "made", [f"http://127.0.0.1:{server.server_port}/"])
        server.shutdown()
    assert (tmp_path / "cache/hpcbrew/cifar10" / get_cifar10.ARCHIVE).is_file()
    (tmp_path / "again").mkdir()
    get_cifar10.get(None, tmp_path / "again", ["http://127.0.0.1:9/"])
    assert LMDB(tmp_path / "again/cifar10_test_lmdb").entries == 4


def test_other_batches_are_refused_and_nothing_is_made(cifar: Path, tmp_path: Path, capsys) -> None:
    folder = packed(cifar)
    (folder / get_cifar10.ARCHIVE).write_bytes((folder / get_cifar10.ARCHIVE).read_bytes()[:-50])
    (cifar / "cifar-10-batches-bin/data_batch_3.bin").write_bytes(b"other")
    for source, says in (
        (cifar, "data_batch_3.bin: its SHA-256 is"),
        (folder, "cifar-10-binary.tar.gz: its SHA-256 is"),
        (tmp_path, "has neither cifar-10-binary.tar.gz nor its contents, data_batch_1.bin … test_batch.bin"),
    ):
        assert got(source, tmp_path / "made") == 2
        assert says in capsys.readouterr().err
    assert list((tmp_path / "made").iterdir()) == []


def test_an_archive_that_lacks_a_batch_is_refused(cifar: Path, tmp_path: Path, capsys) -> None:
    (cifar / "cifar-10-batches-bin/test_batch.bin").unlink()
    assert got(packed(cifar), tmp_path / "made") == 2
    assert "has no test_batch.bin" in capsys.readouterr().err


def test_another_database_of_that_name_stays(cifar: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    assert got(cifar, tmp_path / "made") == 0
    monkeypatch.setattr(get_cifar10, "PICTURES", 5)
    assert got(cifar, tmp_path / "made") == 2
    assert "cifar10_train_lmdb: already exists, with 20 records" in capsys.readouterr().err
