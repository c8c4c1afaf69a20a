import subprocess
import sys

import pytest

from engine.data.partial_folder import PartialFolder
from engine.errors import DataError

SETTINGS = {"gray": True}


def begun(path, settings=SETTINGS):
    partial = PartialFolder(path, settings)
    (partial.folder / "data").write_text("half")
    return partial


def test_it_has_its_name_when_it_is_whole(tmp_path):
    partial = begun(tmp_path / "db")
    assert not (tmp_path / "db").exists()
    partial.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["db"]
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["data"]


def test_what_was_begun_with_equal_settings_is_found(tmp_path):
    first = begun(tmp_path / "db")
    assert not first.found
    first.abandon(records=1)
    second = PartialFolder(tmp_path / "db", SETTINGS)
    assert second.found
    assert (second.folder / "data").read_text() == "half"


def test_what_was_begun_with_others_is_begun_anew(tmp_path):
    begun(tmp_path / "db").abandon(records=1)
    partial = PartialFolder(tmp_path / "db", {"gray": False})
    assert not partial.found
    assert not (partial.folder / "data").exists()


@pytest.mark.parametrize(("settings", "done"), [(None, 1), (SETTINGS, 0)])
def test_nothing_is_left_of_what_cannot_be_gone_on_with(tmp_path, settings, done):
    begun(tmp_path / "db", settings).abandon(done)
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time(tmp_path):
    partial = begun(tmp_path / "db")
    code = f"""
from pathlib import Path
from engine.data.partial_folder import PartialFolder
PartialFolder(Path({str(tmp_path / "db")!r}), {SETTINGS})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "db: another process is making it" in done.stderr
    partial.publish()
    assert (tmp_path / "db" / "data").exists()


def test_what_is_there_is_refused(tmp_path):
    (tmp_path / "db").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("db", "link"):
        with pytest.raises(DataError, match="is there already"):
            PartialFolder(tmp_path / name, SETTINGS)


def test_without_settings_what_a_killed_process_left_is_begun_anew(tmp_path):
    left = tmp_path / ".db.partial"
    left.mkdir()
    (left / "data").write_text("half")
    (left / "settings.json").write_text("null")
    partial = PartialFolder(tmp_path / "db")
    assert not partial.found
    assert partial.folder == left
    assert not (left / "data").exists()
