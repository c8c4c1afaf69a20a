"""A resume file is what anybody may have written: it is read by its schema, or refused with the field named."""

import copy
import json

import numpy as np
import pytest

from engine.errors import SnapshotError
from engine.solver.snapshot import resume_file

GOOD = {
    "version": 1,
    "seed": 7,
    "data": {"mnist": {"after": "00000004", "batches": 3, "seed": 7}},
    "test_data": [{"mnist": {"after": None, "batches": 0, "seed": 8}}],
    "memories": [[[0.5, 1], [2, 3]], 4.0],
    "losses": [0.25, float("nan")],
    "kept": [10, 20],
    "watch": {"best": None, "iteration": -1, "tests_since": 2, "plateau": -1},
    "run": {"type": "SGD", "iter_size": 1, "data": {"data": [4, 1, 4, 5]}, "layers": {"ip": "ab12"}},
}
WRONG = (
    None,
    True,
    -(2**70),
    1e400,
    1.5,
    "x",
    "../../x",
    [],
    [[]],
    ["x"],
    [None],
    {},
    {"x": None},
    {"x": [{}]},
    10**400,
)


def read(tmp_path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "m_iter_4.resume.json").write_text(text)
    return resume_file.read(tmp_path / "m_iter_4.solverstate.h5")


def test_what_was_written_comes_back(tmp_path):
    found = read(tmp_path, resume_file.written({k: v for k, v in GOOD.items() if k != "version"}).decode())
    assert (found.seed, found.data, found.kept, found.run.devices) == (7, GOOD["data"], [10, 20], 1)
    assert found.memories[0].dtype == np.float32
    assert [m.shape for m in found.memories] == [(2, 2), ()]


def test_a_state_without_one(tmp_path):
    assert resume_file.read(tmp_path / "m_iter_4.solverstate") is None


@pytest.mark.parametrize("name", GOOD)
def test_any_field_of_another_type_is_refused_or_right(tmp_path, name):
    refused = 0
    for value in WRONG:
        content = copy.deepcopy(GOOD)
        content[name] = value
        try:
            found = read(tmp_path, content)
        except SnapshotError:
            refused += 1
            continue
        assert all(isinstance(i, int) for i in found.kept)
    assert refused >= len(WRONG) - 3
    content = {k: v for k, v in GOOD.items() if k != name}
    with pytest.raises(SnapshotError, match=r"resume\.json: (damaged: .*is missing|not a resume file)"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "cannot be read"),
        ('{"version": 1, "memories": ' + "[" * 900 + "]" * 900 + "}", "damaged: "),
        ('{"version": ' + "1" * 5000 + "}", "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_what_is_no_record_at_all(tmp_path, text, says):
    with pytest.raises(SnapshotError, match=says):
        read(tmp_path, text)


def test_a_folder_in_its_place(tmp_path):
    (tmp_path / "m_iter_4.resume.json").mkdir()
    with pytest.raises(SnapshotError, match=r"resume\.json: cannot be read: is a folder"):
        resume_file.read(tmp_path / "m_iter_4.solverstate")
