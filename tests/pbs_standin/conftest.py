import time
from collections.abc import Callable, Iterator
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


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for something to be so. The limit is for a test that fails."""

    def wait(so: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not so():
            assert time.monotonic() < end
            time.sleep(0.05)

    return wait
