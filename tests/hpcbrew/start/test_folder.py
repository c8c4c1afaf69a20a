from pathlib import Path

import pytest

from engine import shipped
from hpcbrew.errors import RequestError
from hpcbrew.start import folder
from hpcbrew.start.pictures import Division, Pictures


def test_lists_and_classes_are_lines() -> None:
    pictures = Pictures(Path("/pets"), ("cat", "big dog"), (), 2, 2, alike=True, grey=False)
    texts = folder.texts(pictures, Division((("b c.png", 1),), (("a.png", 0),), ()))
    assert texts == {
        "train.txt": "b c.png 1\n",
        "val.txt": "a.png 0\n",
        "test.txt": "",
        "classes.txt": "cat\nbig dog\n",
    }


def test_nothing_of_the_user_s_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    folder.write(tmp_path / "there", {"a": "1"})
    with pytest.raises(RequestError, match="exists already"):
        folder.write(tmp_path / "there", {"a": "2"})
    assert [path.name for path in tmp_path.rglob("*")] == ["there", "a"]
    assert (tmp_path / "there" / "a").read_text() == "1"


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot be written: "):
        folder.write(tmp_path / "file" / "net", {"a": "1"})
    with pytest.raises(RequestError, match="cannot be written: "):
        folder.write(tmp_path / "net", {"no/such/folder": "1"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_model_is_copied_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = tmp_path / "configs" / "models" / "tiny"
    (tiny / "train_lmdb").mkdir(parents=True)
    for name in ("solver.prototxt", "train_lmdb/data.mdb", "tiny_iter_1.caffemodel"):
        (tiny / name).write_text(name)
    monkeypatch.setattr(shipped, "folder", lambda name: tmp_path / name)
    folder.copy("tiny", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").rglob("*")] == ["solver.prototxt"]
    with pytest.raises(RequestError, match=r"no such folder, list or model. Did you mean 'tiny'"):
        folder.copy("tiyn", tmp_path / "other")


@pytest.mark.parametrize(
    ("target", "name"), [("pets-net", "pets-small"), ("my pets", "my-pets-small"), ("2024", "net-2024-small")]
)
def test_the_net_is_called_as_a_job_may_be(target: str, name: str) -> None:
    assert folder.net_name(Path(target)) == name
