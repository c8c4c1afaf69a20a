import hashlib
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import ManifestError
from hpcbrew.plan import digests
from hpcbrew.plan.items import Item


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_called_by_its_digest_and_keeps_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"abc")
    measured = digests.measure(Item("HDF5 file", tmp_path / "a.h5"))
    assert (measured.digest, measured.size) == (sha256(b"abc"), 3)
    assert digests.place(measured) == PurePosixPath("data", f"{sha256(b'abc')[:32]}.h5", "file.h5")


def test_a_folder_is_called_by_the_digests_and_names_of_its_members(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    measured = digests.measure(Item("database", tmp_path, (PurePosixPath("a"), PurePosixPath("b"))))
    whole = sha256(f"{sha256(b'a')}  a\n{sha256(b'b')}  b\n".encode())
    assert (measured.digest, measured.digests, measured.size) == (whole, (sha256(b"a"), sha256(b"b")), 2)
    assert digests.place(measured) == PurePosixPath("data", whole[:32], "files")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"mean: .*/gone: No such file or directory"):
        digests.measure(Item("mean", tmp_path / "gone"))


def test_a_large_file_is_read_once_and_again_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "LARGE", 1)
    read: list[Path] = []
    monkeypatch.setattr(digests, "file_sha256", lambda path: read.append(path) or f"digest {len(read)}")
    item = Item("mean", tmp_path / "file")
    item.path.write_bytes(b"x")
    assert [digests.measure(item).digest for _ in range(2)] == ["digest 1"] * 2
    item.path.write_bytes(b"longer")
    assert digests.measure(item).digest == "digest 2"
    assert read == [item.path] * 2


def test_a_name_with_a_nul_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    item = Item("images", tmp_path, (PurePosixPath("a"), PurePosixPath("b\0c")))
    with pytest.raises(ManifestError, match="a file name cannot contain NUL"):
        digests.measure(item)


def test_nobody_else_may_read_which_files_there_are(home: Path) -> None:
    with digests._kept():
        pass
    kept = home / "data" / "hpcbrew" / "digests.db"
    assert [oct(path.stat().st_mode & 0o777) for path in (kept, kept.parent)] == ["0o600", "0o700"]
