from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError
from hpcbrew.plan import file_lists
from hpcbrew.plan.file_lists import ImageList

ASKED = 'net.prototxt:3: layer "in" (ImageData): image_data_param.source'
NET = Path("/nets/net.prototxt")


@pytest.fixture
def listing(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "list.txt"
        path.write_text(text)
        return path

    return write


def test_an_hdf5_list_has_paths_one_or_several_a_line(listing) -> None:
    path = listing("a.h5\n\n  b c.h5 \nd.h5 e.h5\n")
    path.with_name("b c.h5").touch()
    assert file_lists.read_hdf5(path, ASKED) == ["a.h5", "b c.h5", "d.h5", "e.h5"]


def test_names_of_images_may_hold_spaces(listing) -> None:
    assert file_lists.read_images(listing("a.jpg 0\n\ntwo words.jpg -1\n"), ASKED) == ImageList(
        ["a.jpg", "two words.jpg"], [0, -1], [1, 3]
    )


def test_a_list_of_images_without_labels(listing) -> None:
    assert file_lists.read_images(listing("a.jpg\n\nb.jpg\n"), ASKED) == ImageList(["a.jpg", "b.jpg"])


def test_images_with_several_numbers(listing) -> None:
    assert file_lists.read_images(listing("two words.jpg 1 0.5\nb.jpg\t3 4\n"), ASKED, 2).names == [
        "two words.jpg",
        "b.jpg",
    ]


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg one", "a.jpg 1.5"])
def test_a_line_without_a_label_is_named(listing, line: str) -> None:
    with pytest.raises(ManifestError, match=r"list\.txt:2: 'a\.jpg.*write NAME LABEL"):
        file_lists.read_images(listing(f"b.jpg 0\n{line}\n"), ASKED)


def test_a_list_of_pairs_names_pictures_and_their_labels(listing) -> None:
    assert file_lists.read_pairs(listing("a b.jpg a.png\n\nc.jpg\tc.png\n"), ASKED) == [
        "a b.jpg",
        "a.png",
        "c.jpg",
        "c.png",
    ]


def test_a_picture_without_labels_is_named(listing) -> None:
    with pytest.raises(ManifestError, match=r"list\.txt:2: 'b\.jpg' is not .*write NAME LABELS"):
        file_lists.read_pairs(listing("a.jpg a.png\nb.jpg\n"), ASKED)


@pytest.mark.parametrize("begin", ["# {}\n{}\n", "# {} {}\n"])
def test_the_image_of_a_window_list_is_the_word_after_its_number(listing, begin: str) -> None:
    text = begin.format(0, "a.jpg") + "3\n4\n4\n1\n1 0.7 0 0 1 1\n" + begin.format(1, "b.jpg") + "3\n4\n4\n0\n"
    assert file_lists.read_windows(listing(text), ASKED) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("read", [file_lists.read_hdf5, file_lists.read_images, file_lists.read_windows])
def test_a_list_of_nothing_is_refused(listing, read) -> None:
    with pytest.raises(ManifestError, match=r"layer \"in\" .*list\.txt lists nothing"):
        read(listing("\n"), ASKED)


def test_what_is_not_text_is_named_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.jpg 0\n\xff")
    with pytest.raises(ManifestError, match=r"list\.txt is not valid text: invalid start byte at byte 8"):
        file_lists.read_images(tmp_path / "list.txt", ASKED)


def test_each_name_is_a_member_once(listing) -> None:
    members = (PurePosixPath("b.jpg"), PurePosixPath("a.jpg"))
    found = file_lists.root_and_members("/data/", ["b.jpg", "a.jpg", "b.jpg"], listing(""), NET, ASKED)
    assert found == (Path("/data"), members)
    found = file_lists.root_and_members("/data", ["/b.jpg", "/a.jpg", "/b.jpg"], listing(""), NET, ASKED)
    assert found == (Path("/data"), members)


def test_absolute_names_are_taken_from_the_root(listing) -> None:
    found = file_lists.root_and_members("", ["/data/a.jpg"], listing(""), NET, ASKED)
    assert found == (Path("/"), (PurePosixPath("data/a.jpg"),))


def test_names_are_looked_for_here_and_then_beside_the_list(
    listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert file_lists.root_and_members("", ["a.jpg"], listing(""), NET, ASKED)[0] == tmp_path
    (tmp_path / "here" / "a.jpg").touch()
    assert file_lists.root_and_members("", ["a.jpg"], listing(""), NET, ASKED)[0] == tmp_path / "here"


def test_a_root_folder_is_looked_for_here_and_then_beside_the_prototxt(
    listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "net"):
        (tmp_path / folder / "pics").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    net = tmp_path / "net" / "net.prototxt"
    assert file_lists.root_and_members("pics/", ["a.jpg"], listing(""), net, ASKED)[0] == tmp_path / "net" / "pics"
    (tmp_path / "here" / "pics" / "a.jpg").touch()
    assert file_lists.root_and_members("pics/", ["a.jpg"], listing(""), net, ASKED)[0] == tmp_path / "here" / "pics"


@pytest.mark.parametrize(
    ("root", "names", "said"),
    [
        ("/data", ["/a.jpg", "b.jpg"], "is put before each name as it is: end it with /"),
        ("", ["/data/a.jpg", "b.jpg"], r"lists absolute paths, but also 'b\.jpg'"),
    ],
)
def test_what_caffe_would_join_wrongly_is_refused(listing, root: str, names: list[str], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        file_lists.root_and_members(root, names, listing(""), NET, ASKED)


def test_each_label_is_known_by_its_first_line() -> None:
    assert ImageList(["a", "b", "c"], [1, 0, 1], [1, 2, 4]).first_lines() == {1: 1, 0: 2}


def test_a_list_of_videos_names_their_frames(listing) -> None:
    param = pb.VideoDataParameter(name_pattern="%c%d.png")
    assert file_lists.read_videos(listing("a b 2 7\n\nc 1 0\n"), param, ASKED) == [
        "a b/x1.png",
        "a b/y1.png",
        "a b/x2.png",
        "a b/y2.png",
        "c/x1.png",
        "c/y1.png",
    ]
    with pytest.raises(ManifestError, match=r":2: 'c 0' is not a valid line of a list of videos"):
        file_lists.read_videos(listing("a 2 7\nc 0\n"), param, ASKED)
    with pytest.raises(ManifestError, match=r":1: .*with 1,000,000 frames at most"):
        file_lists.read_videos(listing(f"a {10**30} 7\n"), param, ASKED)


@pytest.mark.parametrize("label", ["+-5", "1_000", "٥", "3000000000", "1" * 5000])
def test_a_label_that_the_engine_would_refuse_is_named(listing, label: str) -> None:
    with pytest.raises(ManifestError, match=r"list\.txt:2: .* is not a valid line of a list of images"):
        file_lists.read_images(listing(f"b.jpg 0\na.jpg {label}\n"), ASKED)


def test_lines_end_only_in_line_breaks(listing) -> None:
    assert file_lists.read_images(listing("a\x0cb\x85c\u2028d.jpg 1\r\ne.jpg 2\n"), ASKED).names == [
        "a\x0cb\x85c\u2028d.jpg",
        "e.jpg",
    ]
