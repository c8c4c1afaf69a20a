import threading
from pathlib import Path

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.file_lock import busy, exclusive


def test_the_second_waits_and_knows_that_it_did() -> None:
    begun, waited = threading.Event(), []

    def second() -> None:
        begun.set()
        with exclusive("it") as had_to:
            waited.append(had_to)

    assert not busy("it")
    with exclusive("it") as had_to:
        assert busy("it")
        other = threading.Thread(target=second)
        other.start()
        begun.wait()
        other.join(0.3)
        assert (had_to, waited) == (False, [])
    other.join()
    assert waited == [True]


def test_a_lock_that_cannot_be_put_anywhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(TransportError, match=f"{tmp_path}/file.*cannot create this lock"), exclusive("it"):
        pass
