import os
import shlex
import socket
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.setup import cleanup
from hpcbrew.transports.local import Local

GONE = f"{socket.gethostname()} {2**22 + 1}"  # no process has that number


def clear(folder: Path) -> list[str]:
    said: list[str] = []
    cleanup.clear(Local(), PurePosixPath(folder), "engine.json", said.append)
    return said


def begun(folder: Path, name: str, maker: str) -> Path:
    (folder / name).mkdir()
    (folder / name / cleanup.MAKER).write_text(maker)
    return folder / name


@pytest.mark.parametrize(
    ("name", "maker", "left"),
    [
        ("1.0-c0c0c0c0", GONE, False),
        ("1.0-c0c0c0c0", cleanup.maker(), True),
        ("1.0-c0c0c0c0", "elsewhere 1", True),
        ("mine", GONE, True),
    ],
    ids=["of a process that is no more", "of one at work", "of another machine, just changed", "of the user's own"],
)
def test_only_what_nobody_works_on_is_taken_away(tmp_path: Path, name: str, maker: str, left: bool) -> None:
    folder = begun(tmp_path, name, maker)
    said = clear(tmp_path)
    assert folder.exists() is left
    assert said == ([] if left else [f"removed {folder}, which was never finished"])


def test_another_machines_is_taken_away_once_it_has_not_changed_for_a_day(tmp_path: Path) -> None:
    folder = begun(tmp_path, "1.0-c0c0c0c0", "elsewhere 1")
    for path in (folder / cleanup.MAKER, folder):
        os.utime(path, (0, 0))
    clear(tmp_path)
    assert not folder.exists()


def test_what_was_finished_stays(tmp_path: Path) -> None:
    folder = begun(tmp_path, "1.0-c0c0c0c0", GONE)
    (folder / "engine.json").write_text("{}")
    assert clear(tmp_path) == []
    assert folder.exists()


def test_no_folder_at_all_is_nothing_to_clear(tmp_path: Path) -> None:
    assert clear(tmp_path / "absent") == []


def test_what_is_no_row_of_ours_takes_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        "@left",
        "@left\tx",
        "@left\t../mine-c0c0c0c0\t\t",
        f"@left\t1.0-c0c0c0c0\t{socket.gethostname()} 9{'9' * 20}\tx",
    ]
    for name in ("setup", "mine-c0c0c0c0"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(cleanup, "SURVEY", f"printf '%s\\n' {shlex.join(rows)}")
    assert clear(tmp_path / "setup") == []
    assert (tmp_path / "mine-c0c0c0c0").exists()
