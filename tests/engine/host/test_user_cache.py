"""The folder of what is kept from run to run: the user's own, and nobody else's."""

from pathlib import Path

import pytest

from engine.host import user_cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_made_for_the_user_alone(home: Path):
    there = user_cache.folder("compiled")
    assert there.parent == home / "hpcbrew"
    assert there.name.startswith("compiled-")
    assert there.stat().st_mode & 0o777 == 0o700
    assert user_cache.folder("compiled") == there


def test_one_that_others_can_write_to_is_refused():
    there = user_cache.folder("compiled")
    there.chmod(0o777)
    with pytest.raises(OSError, match=f"others can write to {there}. chmod 700 it."):
        user_cache.folder("compiled")


@pytest.mark.parametrize("value", ["", "a/relative/path"])
def test_without_xdg_it_lies_in_the_users_home(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert user_cache.folder("onednn").parent == tmp_path / ".cache" / "hpcbrew"
