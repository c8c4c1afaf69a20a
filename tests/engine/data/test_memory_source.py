import numpy as np
import pytest

from engine.data.memory_source import MemorySource
from engine.errors import DataError

DATA = np.arange(6 * 4, dtype=np.float64).reshape(6, 1, 2, 2)


def source(*args):
    s = MemorySource(("data", "label"), (2, 1, 2, 2))
    s.set(*(args or (DATA, np.arange(6))))
    return s


def test_arrays_are_handed_out_batch_by_batch_and_round():
    s = source()
    assert s.shapes() == [(2, 1, 2, 2), (2,)]
    batches = [s.next() for _ in range(4)]
    assert batches[0]["label"].shape == (2, 1, 1, 1)
    assert [b["label"].ravel().tolist() for b in batches] == [[0, 1], [2, 3], [4, 5], [0, 1]]
    assert np.array_equal(batches[1]["data"], DATA[2:4].astype(np.float32))
    assert s.record(1) == "item 1 in memory"


def test_a_batch_is_what_the_arrays_hold_when_it_is_used():
    data, labels = DATA.astype(np.float32), np.zeros(6, np.float32)
    s = source(data, labels)
    data[1], labels[1] = 9, 2
    batch = s.next()
    data[1] = 0
    assert (batch["data"][1] == 9).all()
    assert batch["label"].ravel().tolist() == [0, 2]


def test_a_restored_source_goes_on():
    s, again = source(), source()
    s.next()
    again.restore(s.state())
    assert again.next()["label"].ravel().tolist() == [2, 3]


def test_skipping_leads_to_where_reading_does():
    s = source()
    s.skip(4)
    assert s.next()["label"].ravel().tolist() == [2, 3]


def test_without_data():
    with pytest.raises(DataError, match="no data yet: set it"):
        MemorySource(("data", "label"), (2, 1, 2, 2)).next()


@pytest.mark.parametrize(
    ("data", "labels", "says"),
    [
        (DATA[:5], np.arange(5), "multiple of 2"),
        (DATA[:0], np.arange(0), "multiple of 2"),
        (DATA.reshape(6, 2, 2, 1), np.arange(6), r"data has shape \(6, 2, 2, 1\)"),
        (DATA, np.arange(5), "5 labels for 6 items"),
    ],
)
def test_arrays_of_other_shapes(data, labels, says):
    with pytest.raises(DataError, match=says):
        source(data, labels)


def test_a_size_that_no_memory_holds_is_asked_for_by_nobody():
    shape = (2, 1, 2**32 - 1, 2**31 - 1)
    assert MemorySource(("data", "label"), shape).shapes()[0] == shape
