import pytest

from hpcbrew.errors import TransportError
from hpcbrew.setup import c_library


def says(login_home, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    login_home.script("bin/getconf", words)
    monkeypatch.setenv("PATH", f"{login_home.bin}:/usr/bin:/bin")


@pytest.mark.parametrize("version", ["2.17", "2.22", "1.99"])
def test_a_system_that_is_too_old_for_jax_is_told(login_home, monkeypatch, version: str) -> None:
    says(login_home, monkeypatch, f"echo Welcome; echo glibc {version}")
    with pytest.raises(TransportError, match=rf"it has glibc {version}, and JAX needs 2\.27 .* --engine module"):
        c_library.check(login_home.transport, "there")


@pytest.mark.parametrize("words", ["echo glibc 2.28", "echo glibc 3.1", "echo musl", "exit 1"])
def test_another_is_left_to_pip(login_home, monkeypatch, words: str) -> None:
    says(login_home, monkeypatch, words)
    c_library.check(login_home.transport, "there")
