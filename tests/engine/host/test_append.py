import pytest

from engine.host.append import append


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, b"new\n"), (b"", b"new\n"), (b"old\n", b"old\nnew\n"), (b"half", b"half\nnew\n")],
)
def test_what_is_added_begins_a_line(tmp_path, before, after):
    file = tmp_path / "file"
    if before is not None:
        file.write_bytes(before)
    append(file, b"new\n")
    assert file.read_bytes() == after
