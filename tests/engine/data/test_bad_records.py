"""Bad records skipped and counted, where that is asked for."""

import cv2
import numpy as np
import pytest

from engine.data import bad_records
from engine.data.datum import raw
from engine.data.datum_source import DatumSource
from engine.data.feed import Feed, Share
from engine.data.image_source import ImageSource
from engine.data.label_bounds import LabelBounds
from engine.data.lmdb_reader import LMDB
from engine.data.transform import Transform
from engine.data.window_source import WindowSource
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

GARBAGE = b"\xff\xff"


def source(path, batch_size=4, tops=("data", "label")):
    made = DatumSource(LMDB(path), tops, batch_size, Transform(pb.TransformationParameter(), pb.TEST), seed=1)
    with bad_records.skipping(True):
        bad_records.allow(made, "mnist")
    return made


@pytest.fixture
def spoilt(make_lmdb, digits):
    """Makes ten records with some of them spoilt, by number."""

    def make(**bad):
        records = [(b"%08d" % i, digit.SerializeToString()) for i, digit in enumerate(digits)]
        for name, value in bad.items():
            records[int(name[1:])] = records[int(name[1:])][0], value
        return make_lmdb(records)

    return make


def test_off_unless_asked_for(spoilt):
    made = DatumSource(LMDB(spoilt()), ("data",), 1, Transform(pb.TransformationParameter(), pb.TEST), seed=1)
    bad_records.allow(made, "mnist")
    assert made.bad is None


def test_the_next_good_records_take_their_place_and_each_is_told_of(spoilt, log):
    other_size = raw(np.zeros((1, 3, 3), np.uint8), 5).SerializeToString()
    path = spoilt(_0=GARBAGE, _3=b"", _6=other_size)
    with Feed({"mnist": source(path)}) as feed:
        assert [feed.next()["label"].tolist() for _ in range(3)] == [[1, 2, 4, 5], [7, 8, 9, 1], [2, 4, 5, 7]]
    lines = log.messages
    assert lines[0].startswith(f'layer "mnist": skipped a bad record: {path}: record "00000000": not a Datum')
    assert 'record "00000003"' in lines[1]
    assert 'record "00000006": is 1×3×3 and most of its batch 1×4×5' in lines[2]
    assert lines[-1].endswith("bad records were skipped in all.")


def test_a_label_outside_is_bad_too(spoilt):
    with Feed({"mnist": source(spoilt())}, {"label": [LabelBounds(classes=6)]}) as feed:
        assert [feed.next()["label"].tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 0, 1]]


@pytest.mark.parametrize("batch_size", [1, 3, 25])
def test_a_database_without_a_good_record_ends_the_run(spoilt, batch_size):
    path = spoilt(**{f"_{i}": GARBAGE for i in range(10)})
    with pytest.raises(DataError, match="None of the records can be used"):
        source(path, batch_size).next()


def test_several_readers_stay_in_step(spoilt):
    """Each reads its own four of every eight; what stands in for a bad one comes from behind them."""
    path = spoilt(_1=GARBAGE, _5=GARBAGE)
    shares = [Share(0, 1, 2), Share(1, 1, 2)]
    place = lambda batches: {"label": batches[0]["label"]}  # noqa: E731
    first, second = (Feed({"mnist": source(path)}, place=place, share=share) for share in shares)
    with first, second:
        assert [first.next()["label"].tolist() for _ in range(3)] == [[0, 2, 3, 4], [8, 9, 0, 2], [6, 7, 8, 9]]
        assert [second.next()["label"].tolist() for _ in range(3)] == [[4, 6, 7, 8], [2, 3, 4, 6], [0, 2, 3, 4]]


def test_a_damaged_database_ends_the_run_all_the_same(make_lmdb, digits):
    path = make_lmdb([raw(np.zeros((1, 50, 50), np.uint8), i) for i in range(200)])
    with (path / "data.mdb").open("r+b") as file:
        file.seek(4096 * 100)
        file.write(bytes(8192))
    with pytest.raises(DataError, match="damaged"):
        _read(source(path), 60)


def _read(source, batches):
    for _ in range(batches):
        source.next()


@pytest.fixture
def listed(tmp_path):
    """A list of six 4×5 pictures, labelled by number: 1 is missing, 2 of another size, 4 no picture."""
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 5 if i != 2 else 6), i, np.uint8))
    (tmp_path / "1.png").unlink()
    (tmp_path / "4.png").write_bytes(GARBAGE)
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(6)))
    return tmp_path / "list.txt"


def pictures(path, batch_size=4, **options):
    made = ImageSource(
        path, ("data", "label"), batch_size, Transform(pb.TransformationParameter(), pb.TEST), seed=1, **options
    )
    with bad_records.skipping(True):
        bad_records.allow(made, "pets")
    return made


def test_good_lines_of_a_list_stand_in_for_bad_ones(listed, log):
    with Feed({"pets": pictures(listed)}) as feed:
        assert [feed.next()["label"].tolist() for _ in range(3)] == [[0, 3, 3, 3], [5, 5, 0, 3], [3, 3, 5, 5]]
    told = [line for line in log.messages if "skipped a bad record" in line]
    assert [line.partition("list.txt: ")[2].partition(":")[0] for line in told] == ["1.png", "2.png", "4.png"]
    assert "is 3×4×6 and the others 3×4×5" in told[1]
    assert log.messages[-1].endswith("3 bad records were skipped in all.")


def test_lists_are_gone_on_with_where_they_stood(listed):
    whole, begun = pictures(listed, 2, shuffle=True), pictures(listed, 2, shuffle=True)
    want = [whole.next()["label"].tolist() for _ in range(5)]
    begun.next()
    resumed = pictures(listed, 2, shuffle=True)
    resumed.restore(begun.state())
    assert [resumed.next()["label"].tolist() for _ in range(4)] == want[1:]


def test_a_list_whose_first_picture_is_bad_has_the_shape_of_the_next(listed):
    (listed.parent / "0.png").unlink()
    assert pictures(listed).shapes() == [(4, 3, 4, 6), (4,)]


def test_a_list_without_a_good_picture_ends_the_run(listed):
    for i in range(6):
        (listed.parent / f"{i}.png").write_bytes(GARBAGE)
    with pytest.raises(DataError, match="not a picture"):
        pictures(listed).shapes()
    with pytest.raises(DataError):
        pictures(listed).next()


def test_good_numbers_go_round_past_bad_ones():
    good = bad_records.GoodNumbers(3, "the lines")
    assert good.leave_out(2)
    assert not good.leave_out(2)
    assert [good.from_(n) for n in range(3)] == [0, 1, 0]
    good.leave_out(0)
    good.leave_out(1)
    with pytest.raises(DataError, match="None of the lines can be used"):
        good.from_(0)


def test_what_would_skip_a_bad_record_is_told_where_it_is_not_asked_for(listed):
    made = ImageSource(listed, ("data",), 4, Transform(pb.TransformationParameter(), pb.TEST), seed=1)
    with Feed({"pets": made}) as feed, pytest.raises(DataError) as error:
        feed.next()
    said = str(error.value)
    assert said.startswith(f'layer "pets": {listed}: 1.png: cannot be read')
    assert said.endswith(
        "-skip_bad_records (hpcbrew submit --skip-bad-records) goes on without such records, and counts them."
    )


@pytest.fixture
def windows(listed):
    """Of the pictures listed: 0 and 3 hold an object and background, 1 is missing; one window of 3 lies outside."""
    boxes = "2\n1 0.9 0 0 3 3\n0 0.1 1 1 3 3\n"
    text = "".join(f"# {i}\n{i}.png\n3 4 5\n{boxes}" for i in (0, 1, 3)).rpartition("0 0.1 1 1 3 3")
    path = listed.parent / "windows.txt"
    path.write_text(text[0] + "0 0.1 1 1 30 30" + text[2])
    return path


def cut(path, bad=True):
    param = pb.WindowDataParameter(batch_size=8, fg_fraction=0.5)
    made = WindowSource(path, ("data", "label"), param, Transform(pb.TransformationParameter(crop_size=4), pb.TEST), 1)
    with bad_records.skipping(bad):
        bad_records.allow(made, "windows")
    return made


def test_good_windows_stand_in_for_bad_ones(windows, log):
    with Feed({"windows": cut(windows)}) as feed:
        seen = {float(picture[0, 0, 0]) for _ in range(6) for picture in np.asarray(feed.next()["data"])}
    assert seen == {0, 3}
    told = sorted(line.partition(": window ")[2] for line in log.messages if "skipped a bad record" in line)
    assert [line.partition(":")[0] for line in told] == [
        "0 0 3 3 of 1.png", "1 1 3 3 of 1.png", "1 1 30 30 of 3.png",
    ]  # fmt: skip


def test_windows_of_classes_that_the_net_lacks_are_bad(windows):
    with Feed({"windows": cut(windows)}, {"label": [LabelBounds(1)]}) as feed, pytest.raises(DataError) as error:
        feed.next()
    assert "None of the windows in" in str(error.value)


def test_a_bad_window_ends_the_run_where_it_is_not_to_be_skipped(windows):
    windows.write_text(windows.read_text().replace("0.png", "1.png").replace("3.png", "1.png"))
    with Feed({"windows": cut(windows, bad=False)}) as feed, pytest.raises(DataError, match=r"of 1\.png.*-skip_bad"):
        feed.next()
