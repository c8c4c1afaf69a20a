from dataclasses import dataclass
from pathlib import Path

import pytest

from hpcbrew.transports.local import Local


@dataclass(frozen=True)
class LoginHome:
    """A home folder that login shells on this machine take for theirs, noise and all; `bin` is first on its PATH.

    It stands for the one on a cluster.
    """

    home: Path
    transport: Local

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    def script(self, name: str, text: str) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
        return path

    def profile(self, text: str) -> None:
        with (self.home / ".bash_profile").open("a") as file:
            file.write(f"{text}\n")


@pytest.fixture
def login_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoginHome:
    home = tmp_path / "remote"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SCRATCH", raising=False)
    made = LoginHome(home, Local())
    title = r"printf '\033]0;here\007'"
    made.profile(f"export PATH={home}/bin:/usr/bin:/bin\necho Welcome; echo 'quota: fine' >&2; {title}")
    return made
