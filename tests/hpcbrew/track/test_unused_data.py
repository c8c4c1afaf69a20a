import os
import time
from pathlib import Path

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.track import refresh, unused_data
from hpcbrew.track.ledger import Ledger

DAYS_AGO = time.time() - 3 * 86400


@pytest.fixture
def scratch(home: Path) -> Path:
    return home / "data" / "hpcbrew"


def item(scratch: Path, name: str, age: float = DAYS_AGO) -> Path:
    folder = scratch / "data" / name
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(bytes(5000))
    os.utime(folder, (age, age))
    return folder


def found(scratch: Path) -> unused_data.Unused:
    profile = profiles.load("local")
    return unused_data.find(profile, refresh.reach(profile.address), Ledger())


def test_data_are_needed_while_a_run_folder_names_them(scratch: Path) -> None:
    names = [f"{number:032x}" for number in range(6)]
    for name, ending in zip(names, ("", "", ".h5", "", ".caffe model", ""), strict=True):
        item(scratch, name + ending)
    job, point = scratch / "runs" / "a-00000001", scratch / "runs" / "b-00000002" / "points" / "1"
    (job / "snapshots").mkdir(parents=True)
    point.mkdir(parents=True)
    (job / "job.pbs").write_text(f"caffe train -weights ../../data/{names[4]}.caffe model/file.caffe model")
    (job / "my net.txt").write_text(f'source: "../../data/{names[0]}/files"')
    (job / "hdf5-0-list.txt").write_text(f"../../data/{names[2]}.h5/file.h5\n")
    (point / "net.prototxt").write_text(f'source: "../../../../data/{names[1]}/files"')
    (job / "train.log").write_text(f"data/{names[3]}")
    unused = found(scratch)
    assert list(unused.sizes) == [names[3], names[5]]
    assert all(size >= 5000 for size in unused.sizes.values())
    unused_data.remove(unused, refresh.reach(profiles.load("local").address))
    assert len([*(scratch / "data").iterdir()]) == 4


def test_what_has_just_come_and_what_is_called_otherwise_stays(scratch: Path) -> None:
    item(scratch, f"{1:032x}", time.time())
    item(scratch, f"{2:032x}.machine.part")
    item(scratch, "mine")
    assert found(scratch).sizes == {}


def test_a_cluster_without_data_has_none_unused(scratch: Path) -> None:
    scratch.mkdir(parents=True)
    assert found(scratch).sizes == {}


def test_what_cannot_be_looked_through_is_no_list() -> None:
    with pytest.raises(TransportError, match="cannot be searched: no such luck"):
        unused_data.parse_list(CommandResult(2, "item 0", "no such luck"), "/scratch")


def test_sizes_that_no_disk_has_are_left_out() -> None:
    said = CommandResult(0, f"{'9' * 5000}\ta\n²\tb\n7\tc\n")
    assert unused_data.parse_sizes(said, ["a", "b", "c"]) == {"c": 7}
