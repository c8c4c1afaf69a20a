import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import model_server
from support.model_server import ModelServer

from engine.errors import DataError
from engine.tools import download

BODY = bytes(range(256)) * 900
SHA1 = hashlib.sha1(BODY).hexdigest()

Server = tuple[str, ModelServer]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[Server]:
    with model_server.serving(BODY) as served:
        yield served


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_server.certify(tmp_path_factory.mktemp("tls") / "certificate.pem")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_length_of_thousands_of_digits_is_none(tmp_path: Path, server: Server) -> None:
    assert download.fetch(f"{server[0]}/digits", tmp_path / "a", SHA1) == SHA1


def test_what_comes_is_checked_and_named(tmp_path: Path, server: Server) -> None:
    assert download.fetch(f"{server[0]}/a", tmp_path / "a", SHA1.upper()) == SHA1
    assert (tmp_path / "a").read_bytes() == BODY
    assert names(tmp_path) == ["a"]
    assert download.digest(tmp_path / "a") == SHA1


def test_a_connection_that_breaks_off_is_gone_on_from(tmp_path: Path, server: Server) -> None:
    url, served = server
    download.fetch(f"{url}/cut", tmp_path / "a", SHA1)
    assert (tmp_path / "a").read_bytes() == BODY
    assert [first for _, first in served.asked] == [None, *(f"bytes={n * served.cut}-" for n in (1, 2))]


def test_so_is_what_an_earlier_call_left(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url, served = server
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    served.cut = 0
    (tmp_path / ".a.part").write_bytes(BODY[:1000])
    with pytest.raises(DataError, match=r"broke off after 1,000 of 230,400 bytes. 1000 B of it are kept: try again"):
        download.fetch(f"{url}/cut", tmp_path / "a", SHA1)
    assert names(tmp_path) == [".a.part"]
    download.fetch(f"{url}/a", tmp_path / "a", SHA1)
    assert (tmp_path / "a").read_bytes() == BODY
    assert served.asked[-1] == ("/a", "bytes=1000-")


@pytest.mark.parametrize("left", [b"another" * 100, BODY + b"more", BODY])
@pytest.mark.parametrize("path", ["a", "whole"])
def test_what_was_left_of_another_file_is_not_taken(tmp_path: Path, server: Server, left: bytes, path: str) -> None:
    (tmp_path / ".a.part").write_bytes(left)
    assert download.fetch(f"{server[0]}/{path}", tmp_path / "a", SHA1) == SHA1
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("source", ["mirror", "server"])
def test_another_file_is_refused_and_nothing_left_of_it(tmp_path: Path, server: Server, source: str) -> None:
    (tmp_path / "mirror").write_bytes(BODY)
    given = tmp_path / "mirror" if source == "mirror" else f"{server[0]}/a"
    with pytest.raises(DataError, match=f"refused: .* has the SHA-1 {SHA1}, not {'0' * 40} as expected"):
        download.fetch(given, tmp_path / "a", "0" * 40)
    assert names(tmp_path) == ["mirror"]


def test_a_folder_will_do_for_a_server(tmp_path: Path) -> None:
    (tmp_path / "mirror").write_bytes(BODY)
    assert download.fetch(tmp_path / "mirror", tmp_path / "a") == SHA1
    with pytest.raises(DataError, match="gone: cannot be read: No such file"):
        download.fetch(tmp_path / "gone", tmp_path / "b")
    with pytest.raises(DataError, match="is a folder"):
        download.fetch(tmp_path, tmp_path / "b")
    assert names(tmp_path) == ["a", "mirror"]


def test_tls_says_whose_bytes_they_are(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server.serving(BODY, certificate) as (url, _):
        with pytest.raises(DataError, match=r"its certificate is not trusted: .* SSL_CERT_FILE"):
            download.fetch(f"{url}/a", tmp_path / "a")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert download.fetch(f"{url}/to/{url}/a", tmp_path / "a") == SHA1
        with model_server.serving(BODY) as (bare, _):
            with pytest.raises(DataError, match=r"the server redirects to http://.*without TLS"):
                download.fetch(f"{url}/to/{bare}/a", tmp_path / "b")
            assert download.fetch(f"{url}/to/{bare}/a", tmp_path / "b", SHA1) == SHA1
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "sha1", "says"),
    [
        ("gone", SHA1, "the server answers 404"),
        ("a", "", "without TLS or a SHA-1"),
        ("to/file:///etc/passwd", SHA1, "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("to/ftp://a/b", SHA1, "a URL begins with https"),
    ],
)
def test_what_cannot_be_had_is_told(tmp_path: Path, server: Server, path: str, sha1: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        download.fetch(f"{server[0]}/{path}", tmp_path / "a", sha1)
    assert names(tmp_path) == []


def test_proxies_are_those_of_the_environment(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", server[0])
    download.fetch("http://models.invalid/a", tmp_path / "a", SHA1)
    assert server[1].asked == [("http://models.invalid/a", None)]


def test_too_much_is_refused_and_too_little_at_a_time(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "WINDOW", -1)
    monkeypatch.setattr(download, "LEAST", 1 << 30)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DataError, match="bytes came in"):
        download.fetch(f"{server[0]}/whole", tmp_path / "a", SHA1)
    (tmp_path / ".a.part").unlink()
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        download.fetch(f"{server[0]}/a", tmp_path / "a", SHA1, largest=1000)
    assert names(tmp_path) == []


def test_a_file_is_fetched_by_one_process_at_a_time(tmp_path: Path, server: Server) -> None:
    with (tmp_path / ".a.part").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is already fetching it"):
            download.fetch(f"{server[0]}/a", tmp_path / "a", SHA1)
    download.fetch(f"{server[0]}/a", tmp_path / "a", SHA1)


def test_what_is_looked_at_and_refused_is_not_kept(tmp_path: Path, server: Server) -> None:
    def refuse(path: Path) -> None:
        assert path.read_bytes() == BODY
        raise DataError("is none")

    with pytest.raises(DataError, match="is none"):
        download.fetch(f"{server[0]}/a", tmp_path / "a", SHA1, refuse)
    assert not (tmp_path / "a").exists()
