import os
from pathlib import Path

import pytest
from support.remote import RemoteCluster


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None: ...


@pytest.fixture
def named(remote: RemoteCluster, home: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteCluster:
    """The cluster as users know it: by a profile `there`, and by the host name `cluster` in their ssh configuration."""
    monkeypatch.setenv("PATH", f"{remote.ssh}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    profiles = home / "config" / "hpcbrew" / "clusters"
    profiles.mkdir(parents=True)
    (profiles / "there.yaml").write_text("extends: openpbs\nhost: cluster\ngpus_per_node: 0\n")
    return remote
