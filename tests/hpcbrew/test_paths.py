from pathlib import Path

import pytest

from hpcbrew import paths


def test_the_users_folders_are_those_of_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative, and so to be ignored")
    assert paths.data_home() == Path("/data/hpcbrew")
    assert paths.config_home() == tmp_path / ".config" / "hpcbrew"
