from pathlib import Path, PurePosixPath

import pytest
from support import sshd

from hpcbrew.errors import TransportError
from hpcbrew.transports.openssh import OpenSsh


def test_a_folder_for_sockets_that_others_can_enter_is_not_used(
    server: sshd.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "hpcbrew").mkdir(mode=0o755)
    with pytest.raises(TransportError, match="yours alone"):
        OpenSsh("cluster", attended=False, config=server.config).run(["true"], PurePosixPath("/"))
