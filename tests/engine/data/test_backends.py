import pytest

from engine.data.backends import READERS, WRITERS, opened


@pytest.mark.parametrize("backend", WRITERS)
def test_what_one_writes_the_other_reads(tmp_path, backend):
    with WRITERS[backend](tmp_path / "db") as db:
        db.put(b"key", b"value")
    reader = READERS[backend](tmp_path / "db")
    assert list(reader.records()) == [(b"key", b"value")]
    reader.close()
    found = opened(tmp_path / "db")
    assert list(found.keys()) == [b"key"]
    found.close()
