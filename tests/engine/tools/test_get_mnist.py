import gzip
import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.data import idx
from engine.data.lmdb_reader import LMDB
from engine.errors import DataError
from engine.tools import get_mnist
from engine.tools.convert_mnist_data import convert

DIGITS = Path(__file__).parents[3] / "configs/models/lenet/digits"
NAME = "t10k-labels-idx1-ubyte"
GOOD = (DIGITS / f"{NAME}.gz").read_bytes()
DIGEST = {NAME: hashlib.sha256(gzip.decompress(GOOD)).hexdigest()}


class Mirror(BaseHTTPRequestHandler):
    """Serves GOOD under /good/, 100 bytes of it under /cut/, a page under /portal/, others under /other/; else 404."""

    def __init__(self, asked, *args):
        self.asked = asked
        super().__init__(*args)

    def do_GET(self):
        self.asked.append(self.path)
        kind = self.path.split("/")[1]
        body = {"good": GOOD, "cut": GOOD, "portal": b"<html>log in</html>", "other": gzip.compress(b"other")}.get(kind)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write((body or b"")[: 100 if kind == "cut" else None])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def mirror():
    """(URL, the paths asked for)."""
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, asked)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_file_is_fetched_once(tmp_path, mirror):
    url, asked = mirror
    for _ in range(2):
        get_mnist.fetch(tmp_path / "cache", DIGEST, [f"{url}/good/"])
    assert asked == [f"/good/{NAME}.gz"]
    assert (tmp_path / "cache" / f"{NAME}.gz").read_bytes() == GOOD


def test_a_damaged_file_is_fetched_again(tmp_path, mirror):
    (tmp_path / f"{NAME}.gz").write_bytes(GOOD[:-20])
    get_mnist.fetch(tmp_path, DIGEST, [f"{mirror[0]}/good/"])
    assert (tmp_path / f"{NAME}.gz").read_bytes() == GOOD


def test_the_next_mirror_serves_where_one_fails(tmp_path, mirror):
    url, asked = mirror
    get_mnist.fetch(tmp_path, DIGEST, [f"{url}/{kind}/" for kind in ("gone", "portal", "cut", "other", "good")])
    assert {path.split("/")[1] for path in asked} == {"gone", "portal", "cut", "other", "good"}
    assert [p.name for p in tmp_path.iterdir()] == [f"{NAME}.gz"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("gone", "the server answers 404"),
        ("portal", "the downloaded file is not MNIST's: .*SHA-256"),
        ("other", "the downloaded file is not MNIST's: .*SHA-256"),
        ("cut", "the connection broke off after 200 of [0-9]+ bytes"),
    ],
)
def test_what_each_mirror_said_is_in_the_error_and_only_what_can_be_gone_on_with_is_left(tmp_path, mirror, kind, says):
    with pytest.raises(DataError, match=rf"(?s)cannot be fetched:.*{says}.*--from DIR"):
        get_mnist.fetch(tmp_path, DIGEST, [f"{mirror[0]}/{kind}/"])
    assert [path.name for path in tmp_path.iterdir()] == ([f".{NAME}.gz.part"] if kind == "cut" else [])


def test_without_a_network(tmp_path):
    with pytest.raises(DataError, match=r"(?s)Connection refused.*--from DIR"):
        get_mnist.fetch(tmp_path, DIGEST, ["http://127.0.0.1:9/"])


@pytest.fixture
def as_mnist(monkeypatch):
    """Lets the shipped digits count as MNIST itself, which is not there to test with, and 500 as those shipped."""
    whole = {name: hashlib.sha256(idx.unpacked(DIGITS / f"{name}.gz")).hexdigest() for name in get_mnist.SHA256}
    monkeypatch.setattr(get_mnist, "SHA256", whole)
    monkeypatch.setattr(get_mnist, "SHIPPED", (500,))


def _digits(database: Path, count: int) -> None:
    images, labels = (idx.unpacked(DIGITS / f"t10k-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    n = count.to_bytes(4)
    (database.parent / "i").write_bytes(images[:4] + n + images[8 : 16 + 784 * count])
    (database.parent / "l").write_bytes(labels[:4] + n + labels[8 : 8 + count])
    convert(database.parent / "i", database.parent / "l", database)
    (database.parent / "i").unlink()
    (database.parent / "l").unlink()


def test_both_databases_are_made_from_a_folder_and_stay(tmp_path, as_mnist):
    assert get_mnist.main(["--from", str(DIGITS), "--to", str(tmp_path)]) == 0
    assert {p.name: LMDB(p).entries for p in tmp_path.iterdir()} == {"mnist_train_lmdb": 5000, "mnist_test_lmdb": 1000}
    before = [p.stat().st_mtime_ns for p in tmp_path.iterdir()]
    assert get_mnist.main(["--from", str(DIGITS), "--to", str(tmp_path)]) == 0
    assert [p.stat().st_mtime_ns for p in tmp_path.iterdir()] == before


def test_the_shipped_digits_make_room(tmp_path, as_mnist):
    _digits(tmp_path / "mnist_test_lmdb", 500)
    get_mnist.get(DIGITS, tmp_path)
    assert LMDB(tmp_path / "mnist_test_lmdb").entries == 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mnist_test_lmdb", "mnist_train_lmdb"]


def test_another_database_of_that_name_stays(tmp_path, as_mnist, capsys):
    _digits(tmp_path / "mnist_test_lmdb", 7)
    assert get_mnist.main(["--from", str(DIGITS), "--to", str(tmp_path)]) == 2
    assert "mnist_test_lmdb: already exists, with 7 records" in capsys.readouterr().err
    assert LMDB(tmp_path / "mnist_test_lmdb").entries == 7


def test_a_folder_without_the_files(tmp_path, capsys):
    assert get_mnist.main(["--from", str(tmp_path), "--to", str(tmp_path)]) == 2
    assert "has neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte" in capsys.readouterr().err


def test_other_digits_are_refused(tmp_path, capsys):
    assert get_mnist.main(["--from", str(DIGITS), "--to", str(tmp_path)]) == 2
    assert "but MNIST's is ba891046" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_is_told_of_another_place(tmp_path, monkeypatch, capsys):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert get_mnist.main(["--to", str(tmp_path)]) == 2
    assert "set XDG_CACHE_HOME, or use --from DIR" in capsys.readouterr().err
