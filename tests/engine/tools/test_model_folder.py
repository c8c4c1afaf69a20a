import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import model_server
from support.model_server import ModelServer
from support.small_nets import INPUT, ip, made

from engine.errors import DataError
from engine.net import weights
from engine.proto import binary
from engine.tools import model_folder

NET = INPUT + ip("a", "x", "a", 4) + ip("b", "a", "b", 3)


def model(prototxt: str = NET) -> bytes:
    net = made(prototxt)
    return weights.to_model(net, net.init(0)).SerializeToString()


def write(folder: Path, file: bytes | None = None, **values: str | None) -> model_folder.ModelFolder:
    """A folder of a small net, with a README of these values beside the usual ones; None leaves one out."""
    usual = {
        "name": "Small",
        "caffemodel": "small.caffemodel",
        "caffemodel_url": "http://models.invalid/small.caffemodel",
        "license": "BSD",
        "sha1": hashlib.sha1(model()).hexdigest(),
    }
    lines = [f"{key}: {value}" for key, value in (usual | values).items() if value is not None]
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text("\n".join(["---", *lines, "---", ""]))
    (folder / "deploy.prototxt").write_text(NET)
    if file is not None:
        (folder / "small.caffemodel").write_bytes(file)
    return model_folder.find(folder)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[tuple[str, ModelServer]]:
    with model_server.serving(model()) as served:
        yield served


def test_a_folder_is_found_by_its_readme_however_written(tmp_path: Path) -> None:
    write(tmp_path / "small")
    (tmp_path / "small" / "README.md").rename(tmp_path / "small" / "readme.md")
    by_folder = model_folder.find(tmp_path / "small")
    by_file = model_folder.find(tmp_path / "small" / "readme.md")
    assert by_folder == by_file
    assert by_folder.file == tmp_path / "small" / "small.caffemodel"
    with pytest.raises(DataError, match=r"has no README.md with a front matter"):
        model_folder.find(tmp_path)
    with pytest.raises(DataError, match="no/such: no such file or folder; give a model's folder"):
        model_folder.find(tmp_path / "no" / "such")


def test_a_model_is_fetched_once(tmp_path: Path, server: tuple[str, ModelServer]) -> None:
    folder = write(tmp_path, caffemodel_url=f"{server[0]}/small")
    sha1 = folder.about.get("sha1")
    assert [model_folder.get(folder), model_folder.get(folder)] == [(sha1, True), (sha1, False)]
    assert len(server[1].asked) == 1
    assert list(model_folder.faults(folder)) == []


@pytest.mark.parametrize("kind", ["folder", "address"])
def test_a_mirror_has_it_by_its_name(tmp_path: Path, server: tuple[str, ModelServer], kind: str) -> None:
    folder = write(tmp_path / "small", caffemodel_url=None)
    (tmp_path / "small.caffemodel").write_bytes(model())
    model_folder.get(folder, str(tmp_path) if kind == "folder" else f"{server[0]}/models/")
    assert folder.file.read_bytes() == model()
    assert [path for path, _ in server[1].asked] == ([] if kind == "folder" else ["/models/small.caffemodel"])


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    folder = write(tmp_path, file=b"mine")
    with pytest.raises(DataError, match=r"already exists, with the SHA-1 .*README.md:6 says .* Remove or rename it"):
        model_folder.get(folder)
    assert folder.file.read_bytes() == b"mine"


def test_without_a_sha1_what_comes_must_be_a_model(tmp_path: Path) -> None:
    folder = write(tmp_path / "small", sha1=None)
    with pytest.raises(DataError, match=r"README.md:4: caffemodel_url: http.*without TLS or a SHA-1"):
        model_folder.get(folder)
    for page in (b"<html>Log in</html>", b""):
        (tmp_path / "small.caffemodel").write_bytes(page)
        with pytest.raises(DataError, match=r"is not a .caffemodel"):
            model_folder.get(folder, str(tmp_path))
    (tmp_path / "small.caffemodel").write_bytes(model())
    assert model_folder.get(folder, str(tmp_path)) == (hashlib.sha1(model()).hexdigest(), True)
    assert sorted(path.name for path in folder.path.iterdir()) == ["README.md", "deploy.prototxt", "small.caffemodel"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"license": None}, ["README.md: has no license."]),
        ({"sha1": None, "sha": "12"}, ['README.md: has no sha1. Did you mean "sha"?']),
        ({"file": model(INPUT + ip("a", "x", "a", 4))}, ["has the SHA-1", "has no parameters for layer 'b' of"]),
        (
            {"file": model(INPUT + ip("a", "x", "a", 5)), "sha1": None},
            ["has no sha1", "Cannot copy param 0 weights from layer 'a'"],
        ),
        ({"file": b"none", "sha1": None}, ["has no sha1", "is not a .caffemodel"]),
    ],
)
def test_what_is_the_matter_with_a_folder_is_told(tmp_path: Path, change: dict, says: list[str]) -> None:
    found = list(model_folder.faults(write(tmp_path, **change)))
    assert len(found) == len(says), found
    assert all(part in fault for part, fault in zip(says, found, strict=True))


def test_a_prototxt_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (tmp_path / "deploy.prototxt").write_text("layer {")
    assert "deploy.prototxt:1" in next(model_folder.faults(folder))
    (tmp_path / "deploy.prototxt").unlink()
    assert list(model_folder.faults(folder)) == [f"{tmp_path}: has no prototxt."]


def test_a_model_is_read_with_its_parameters(tmp_path: Path) -> None:
    (tmp_path / "a.caffemodel").write_bytes(model())
    read = model_folder.read_model(tmp_path / "a.caffemodel")
    assert [binary.to_array(blob).shape for blob in read.layer[-1].blobs] == [(3, 4), (3,)]
    assert np.all(binary.to_array(read.layer[-1].blobs[1]) == 0)
