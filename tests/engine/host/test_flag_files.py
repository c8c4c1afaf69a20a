"""Flags from files and from the environment."""

import pytest

from engine.errors import EngineError
from engine.host import flag_files

FILES = {
    "plain": "# of a run\n-solver=s.prototxt\n\n  --gpu=0\n-weights=a b.caffemodel\n-noprogress\n",
    "others": "-level=1\nother_tool\n-gpu=3\nother_tool caffe\n-gpu=4\ncaf*\nother\n-gpu=5\n",
    "outer": "-level=2\n-flagfile=plain\n",
    "itself": "-flagfile=by\n",
    "by": "-flagfile=itself\n",
    "apart": "-level=1\n-solver s.prototxt\n",
    "binary": "\0",
}
PLAIN = ["-solver=s.prototxt", "--gpu=0", "-weights=a b.caffemodel", "-noprogress"]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("train -flagfile plain -level 1", ["train", *PLAIN, "-level", "1"]),
        ("train --flagfile=outer", ["train", "-level=2", *PLAIN]),
        ("-flagfile=others", ["-level=1", "-gpu=4", "-gpu=5"]),
        ("-flagfile=others,plain", ["-level=1", "-gpu=4", "-gpu=5", *PLAIN]),
        ("train -fromenv=gpu,iterations", ["train", "-gpu=1", "-iterations=5"]),
        ("-tryfromenv gpu,snapshot x", ["-gpu=1", "x"]),
        ("a -- -flagfile=plain", ["a", "--", "-flagfile=plain"]),
        ("flagfile=plain", ["flagfile=plain"]),
    ],
)
def test_files_and_the_environment_give_flags(line, want, monkeypatch):
    monkeypatch.setenv("FLAGS_gpu", "1")
    monkeypatch.setenv("FLAGS_iterations", "5")
    assert flag_files.expanded(line.split(), "caffe") == want


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-flagfile", "-flagfile needs a value: -flagfile=FILE."),
        ("-flagfile=gone", "-flagfile gone: cannot be read: No such file or directory."),
        ("-flagfile=itself", "-flagfile itself: includes itself through by."),
        ("-flagfile=.", "is a folder, but a file is needed"),
        ("-flagfile=binary", "holds binary data"),
        ("-flagfile=apart", 'apart:2: "-solver s.prototxt": write the value of a flag in a file after ='),
        ("-fromenv=level", "there is no FLAGS_level in the environment"),
    ],
)
def test_what_cannot_be_had_is_told(line, said):
    with pytest.raises(EngineError, match=said):
        flag_files.expanded(line.split(), "caffe")
