import os
import socket
import time
from pathlib import Path, PurePosixPath

import pytest
from support import sshd

from hpcbrew.transfer import parts
from hpcbrew.transports.local import Local
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended


def test_two_machines_of_one_name_have_parts_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my laptop/é")
    names = set()
    for home in ("one", "another", "one"):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / home))
        names.add(parts.name("abcd"))
    assert len(names) == 2
    assert all(name.startswith("abcd.mylaptop-") and name.endswith(".part") for name in names)


@pytest.mark.parametrize("by", ["local", "ssh"])
def test_parts_that_nobody_goes_on_with_are_swept(by: str, tmp_path: Path) -> None:
    data, old = tmp_path / "data", time.time() - (parts.DAYS + 1) * 24 * 3600
    for name, age in (
        ("a.old-1.part", old),
        (".b.old-1.part.0123abcd", old),
        ("c.mine-1.part", old),
        ("d new.part", time.time()),
        ("e.grows-1.part", old),
        ("whole", old),
    ):
        (data / name).mkdir(parents=True)
        (data / name / "file").write_bytes(b"x")
        os.utime(data / name / "file", (age, age))
        os.utime(data / name, (age, age))
    os.utime(data / "e.grows-1.part" / "file")
    (data / "f.part").touch()
    os.utime(data / "f.part", (old, old))
    if by == "local":
        parts.sweep(Local(), PurePosixPath(data), ["c.mine-1.part"])
    else:
        (tmp_path / "sshd").mkdir()
        with sshd.serve(tmp_path / "sshd") as server:
            line = Ssh("cluster", Unattended(), server.resolve)
            parts.sweep(line, PurePosixPath(data), ["c.mine-1.part"])
            line.close()
    assert sorted(path.name for path in data.iterdir()) == [
        "c.mine-1.part",
        "d new.part",
        "e.grows-1.part",
        "f.part",
        "whole",
    ]


def test_a_machines_name_for_itself_may_be_of_any_bytes(home: Path) -> None:
    parts.name("abcd")
    (home / "data" / "hpcbrew" / "machine").write_bytes(b"\xff\x00")
    assert parts.name("abcd") == parts.name("abcd")
