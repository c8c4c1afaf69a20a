from collections.abc import Iterator
from pathlib import Path

import pytest
from support import captures, standin


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[captures.Replay]:
    """A site as the recorded one: its node is called as its server."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "cap").mkdir()
    with standin.installed(tmp_path / "bin", tmp_path / "state", node="pbs01") as site:
        yield captures.Replay(site, home)
