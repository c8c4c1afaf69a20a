"""Which files a Python layer's module comes to."""

from pathlib import Path

import pytest

from hpcbrew.errors import ManifestError
from hpcbrew.plan import python_modules

FILES = {
    "noise.py": "import caffe, numpy as np, os\nimport settings\nfrom tools import blob\n",
    "settings.py": "import noise\nrate = 3\n",
    "tools/__init__.py": "",
    "tools/blob.py": "from . import shapes\nfrom .deep.er import x\nimport random\n",
    "tools/shapes.py": "def f():\n    import late\n",
    "tools/unused.py": "",
    "tools/deep/er.py": "x = 1\n",
    "random.py": "never = 'taken'",
    "late.py": "",
    "plain/one.py": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


NOISE = ["late.py", "noise.py", "settings.py", "tools/__init__.py", "tools/blob.py", "tools/deep/er.py"]


@pytest.mark.parametrize(
    ("module", "want"),
    [
        ("noise", [*NOISE, "tools/shapes.py"]),
        ("tools", ["tools/__init__.py"]),
        ("plain.one", ["plain/one.py"]),
        ("gone", []),
        ("tools.gone", []),
        ("random", []),
        ("caffe", []),
        ("../noise", []),
        ("", []),
        (".noise", []),
        ("x" * 300, []),
    ],
)
def test_a_module_brings_what_it_imports_of_its_users(folder: Path, module: str, want: list[str]) -> None:
    found = python_modules.sources(module, [folder], "asked")
    assert sorted(found) == want
    assert all(text == FILES[name] for name, text in found.items())


def test_the_first_place_counts(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "late.py").write_text("x = 1")
    assert python_modules.sources("late", [tmp_path / "other", folder], "asked") == {"late.py": "x = 1"}


def test_the_places_are_here_beside_the_net_and_pythonpath(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", f"tools:{folder}/gone::{folder}")
    found = python_modules.folders(Path("plain/net.prototxt"))
    assert found == [folder, folder / "plain", folder / "tools"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"x = 1\nprint 'two'\n", r"asked: SyntaxError: .*late.py:2\)\. This is Python 2 code, .* 2to3 -w"),
        (b"x = (\n", r"asked: SyntaxError: .*late.py:1\)$"),
        (b"# coding: latin-1\nx = '\xe9'\n", r"late.py: is iso-8859-1: save it as UTF-8"),
        (b"x = '\xe9'\n", r"late.py: is not UTF-8: save it as UTF-8"),
        (b"x = '\0'\n", r"asked: "),
        (b"(" * 100_000, r"asked: "),
        (b"-" * 100_000 + b"1", r"asked: "),
        (b"#" * (4 * 2**20 + 1), r"late.py: has 4194305 bytes"),
    ],
)
def test_what_is_no_python_is_refused(folder: Path, text: bytes, says: str) -> None:
    (folder / "late.py").write_bytes(text)
    with pytest.raises(ManifestError, match=says):
        python_modules.sources("late", [folder], "asked")


def test_a_package_of_the_name_of_a_folder_in_run_folders_is_refused(folder: Path) -> None:
    (folder / "snapshots").mkdir()
    (folder / "snapshots" / "layers.py").write_text("")
    with pytest.raises(ManifestError, match="rename the package"):
        python_modules.sources("snapshots.layers", [folder], "asked")
