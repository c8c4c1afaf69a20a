import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.tools import create_label_map


def made(tmp_path, lines, *flags):
    (tmp_path / "list").write_text(lines)
    assert create_label_map.main([*flags, str(tmp_path / "list"), str(tmp_path / "map")]) == 0
    items = text.read(tmp_path / "map", pb.LabelMap).item
    return [(item.name, item.label, item.display_name) for item in items]


NONE = ("none_of_the_above", 0, "background")


@pytest.mark.parametrize(
    ("lines", "flags", "want"),
    [
        ("cat\ndog\n", (), [("cat", 0, "cat"), ("dog", 1, "dog")]),
        ("cat\ndog\n", ("-include_background",), [NONE, ("cat", 1, "cat"), ("dog", 2, "dog")]),
        ("cat 7\ndog 3\n", (), [("cat", 7, "cat"), ("dog", 3, "dog")]),
        ("cat:7;A cat\n", ("-delimiter", ":;"), [("cat", 7, "A cat")]),
        ("cat\r\ndog\r\n\n", (), [("cat", 0, "cat"), ("dog", 1, "dog")]),
    ],
)
def test_lines_have_up_to_three_fields(tmp_path, lines, flags, want):
    assert made(tmp_path, lines, *flags) == want


def test_names_may_be_of_any_bytes(tmp_path):
    (tmp_path / "list").write_bytes(b"caf\xe9 1\n")
    assert create_label_map.main([str(tmp_path / "list"), str(tmp_path / "map")]) == 0
    assert b'name: "caf\\351"' in (tmp_path / "map").read_bytes()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("cat 1\ndog\n", "list:2: has 1 fields, but the first line has 2"),
        ("a cat 1 A cat\n", "list:1: has 5 fields"),
        ("cat one\n", 'list:1: "one" is not a whole number'),
        ("cat\n\ndog\n", "list:2: has no name"),
        ("\n", "list: lists no classes"),
    ],
)
def test_other_lines_are_refused(tmp_path, capsys, lines, said):
    (tmp_path / "list").write_text(lines)
    assert create_label_map.main([str(tmp_path / "list"), str(tmp_path / "map")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "map").exists()
