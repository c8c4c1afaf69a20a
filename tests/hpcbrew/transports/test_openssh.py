import os
from pathlib import Path, PurePosixPath

import pytest
from support import sshd

from hpcbrew.errors import TransportError
from hpcbrew.transports.openssh import OpenSsh


@pytest.mark.usefixtures("short_runtime")
def test_a_folder_for_sockets_that_others_can_enter_is_not_used(server: sshd.Server) -> None:
    (Path(os.environ["XDG_RUNTIME_DIR"]) / "hpcbrew").mkdir(mode=0o755)
    with pytest.raises(TransportError, match="only you can access"):
        OpenSsh("cluster", attended=False, config=server.config).run(["true"], PurePosixPath("/"))


def test_a_runtime_folder_that_is_too_long_for_sockets_or_gone_is_not_used(
    server: sshd.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ("long" * 20)).mkdir()
    for folder in (tmp_path / ("long" * 20), Path("/nonexistent")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        transport = OpenSsh("cluster", attended=False, config=server.config)
        assert transport.run(["echo", "in"], PurePosixPath("/")).out == "in\n"
        transport.disconnect()
