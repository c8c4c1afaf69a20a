import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from hpcbrew.track import metrics as track_metrics
from hpcbrew.track.lasting import Say
from hpcbrew.track.metrics import Metrics
from hpcbrew.transports.local_reader import LocalReader

TEST: dict[str, Any] = {"phase": "test", "iteration": 5, "outputs": {"accuracy": 0.5}}


def metrics(folder: Path, say: Say = pytest.fail) -> Metrics:
    return Metrics(LocalReader(), PurePosixPath(folder), say, lasting=True)


def new(found: Metrics) -> list[dict[str, Any]]:
    return [values for entries in found.new() for values in entries]


def test_each_entry_is_given_once_and_when_its_line_is_whole(tmp_path: Path) -> None:
    found, path, line = metrics(tmp_path), tmp_path / "metrics.jsonl", json.dumps(TEST) + "\n"
    given = [new(found)]
    for text in (line[:-9], line[-9:], line + line):
        with path.open("a") as file:
            file.write(text)
        given.append(new(found))
    assert given == [[], [], [TEST], [TEST, TEST]]


@pytest.mark.parametrize(
    "odd",
    [
        b'{"phase": "tr',
        b"[1]",
        b'{"phase": "test"}',
        b'{"phase": "test", "iteration": 1, "outputs": [1]}',
        b'{"phase": "test", "iteration": "1", "outputs": {}}',
        b'{"phase": "test", "iteration": true, "outputs": {}}',
        b'{"iteration": 1, "outputs": {}}',
        b"\0\0\0",
        b"\xff\xfe",
        b"",
        b"{" * 5000,
        b'"' + b"x" * (3 * 2**20),
    ],
    ids=range(12),
)
def test_what_is_none_of_the_engines_is_left_out(tmp_path: Path, odd: bytes) -> None:
    line = json.dumps(TEST).encode() + b"\n"
    (tmp_path / "metrics.jsonl").write_bytes(line + odd + b"\n" + line)
    assert new(metrics(tmp_path)) == [TEST, TEST]


def test_of_a_file_of_10_gb_the_end_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_metrics, "MOST", 2**16)
    with (tmp_path / "metrics.jsonl").open("wb") as file:
        file.truncate(10**10)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + json.dumps(TEST).encode() + b"\n")
    told: list[str] = []
    assert list(metrics(tmp_path, told.append).all()) == [TEST]
    assert told == [f"{tmp_path}/metrics.jsonl is larger than 0 MiB: only its end is read"]
    assert list(metrics(tmp_path / "none").all()) == []


def test_what_is_no_file_is_said_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    told: list[str] = []
    found = metrics(tmp_path, told.append)
    assert (list(found.all()), new(found)) == ([], [])
    assert told == [f"{tmp_path}/metrics.jsonl: is not a regular file and is not read"]
