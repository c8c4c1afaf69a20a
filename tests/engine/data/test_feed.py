import json
import os
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from support.until import until

from engine.data.datum_source import DatumSource
from engine.data.feed import Feed, Share
from engine.data.label_bounds import LabelBounds
from engine.data.lmdb_reader import LMDB
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


@pytest.fixture
def path(make_lmdb, digits):
    return make_lmdb(digits)


def records(path, batch_size=4, tops=("data", "label"), prefetch=3):
    transform = Transform(pb.TransformationParameter(crop_size=3, mirror=True), pb.TRAIN)
    return DatumSource(LMDB(path), tops, batch_size, transform, seed=1, prefetch=prefetch)


class Counting:
    """A source of 0, 1, 2, … that tells how far it was read, and fails or hangs where it is told to."""

    prefetch = 2

    def __init__(self, fail_at=None, hang_at=None):
        self.count, self.closed = 0, False
        self.fail_at, self.hang_at, self.freed = fail_at, hang_at, threading.Event()

    def shapes(self):
        return [(1,)]

    def next(self):
        if self.count == self.fail_at:
            raise DataError("record 00000004 is damaged")
        if self.count == self.hang_at:
            self.freed.wait()
        self.count += 1
        return {"n": np.full(1, self.count - 1, np.float32)}

    def skip(self, batches):
        self.count += batches

    def record(self, index):
        return f"record {self.count - 1}"

    def state(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state["count"]

    def close(self):
        assert not self.closed
        self.closed = True


def test_batches_come_in_order_on_the_device(path):
    plain = records(path)
    with Feed({"mnist": records(path)}) as feed:
        for _ in range(7):
            want, got = plain.next(), feed.next()
            assert isinstance(got["data"], jax.Array)
            assert np.array_equal(got["data"], want["data"])
            assert np.array_equal(got["label"], want["label"])


def test_looking_ahead_takes_nothing_away():
    with Feed({"n": Counting()}) as feed:
        assert feed.ahead() is None  # nothing is read before the first batch is asked for
        feed.next()
        position = feed.state()
        assert [int(ahead["n"][0]) for ahead in (feed.ahead(), feed.ahead())] == [1, 1]
        assert feed.state() == position
        assert [int(feed.next()["n"][0]) for _ in range(3)] == [1, 2, 3]


def test_a_failure_ahead_is_raised_when_its_turn_comes():
    with Feed({"n": Counting(fail_at=1)}) as feed:
        feed.next()
        assert feed.ahead() is None
        for _ in range(2):
            with pytest.raises(DataError, match="damaged"):
                feed.next()
            assert feed.ahead() is None


def test_reading_ahead_stops_at_prefetch():
    source = Counting()
    with Feed({"n": source}) as feed:
        feed.next()
        until(lambda: source.count == 3)
        time.sleep(0.05)
        assert source.count == 3


def test_nothing_is_read_before_the_first_batch_is_asked_for():
    source = Counting()
    Feed({"n": source}).close()
    assert (source.count, source.closed) == (0, True)


def test_the_state_is_that_of_the_batch_handed_out():
    source = Counting()
    with Feed({"n": source}) as feed:
        assert feed.state() == {"n": {"count": 0}}
        feed.next()
        until(lambda: source.count == 3)
        assert feed.state() == {"n": {"count": 1}}


def test_a_restored_feed_goes_on_with_the_same_batches(path):
    with Feed({"mnist": records(path)}) as feed, Feed({"mnist": records(path)}) as again:
        for _ in range(3):
            feed.next()
        again.next()
        again.restore(json.loads(json.dumps(feed.state())))
        assert again.state() == feed.state()
        for _ in range(4):
            want, got = feed.next(), again.next()
            assert np.array_equal(got["data"], want["data"])
            assert np.array_equal(got["label"], want["label"])


def test_several_sources_are_handed_out_together(path):
    with Feed({"a": records(path), "b": records(path, 3, ("other",)), "n": Counting()}) as feed:
        feed.next()
        batch = feed.next()
        assert {top: value.shape[0] for top, value in batch.items()} == {"data": 4, "label": 4, "other": 3, "n": 1}
        assert batch["n"].tolist() == [1]
        assert feed.state().keys() == {"a", "b", "n"}


def test_a_failure_comes_at_its_turn_and_stays():
    with Feed({"n": Counting(fail_at=2)}) as feed:
        assert [feed.next()["n"].item() for _ in range(2)] == [0, 1]
        for _ in range(2):
            with pytest.raises(DataError, match="00000004 is damaged"):
                feed.next()


def test_skipping_leads_to_where_reading_does():
    with Feed({"a": Counting()}, share=Share(1, 1, 2)) as feed:
        assert feed.next()["n"] == 1
        feed.skip(3)
        assert feed.next()["n"] == 9


def test_a_feed_works_again_when_it_is_restored_after_a_failure():
    source = Counting(fail_at=0)
    with Feed({"n": source}) as feed:
        with pytest.raises(DataError):
            feed.next()
        source.fail_at = None
        feed.restore({"n": {"count": 5}})
        assert feed.next()["n"].item() == 5


def test_a_failure_names_the_layer(path):
    with Feed({"n": Counting(fail_at=0)}) as feed, pytest.raises(DataError, match='layer "n": record 00000004'):
        feed.next()


@pytest.mark.parametrize("shares", [[Share(0, 1, 2), Share(1, 1, 2)], [Share(0, 2, 5), Share(2, 1, 5), Share(3, 2, 5)]])
def test_nodes_read_disjoint_records_as_caffe_s_ranks_do(path, shares):
    """Batch k of n in turn belongs to device k; here each device's labels are put behind one another."""
    plain = records(path)
    feeds = [
        Feed(
            {"mnist": records(path)}, place=lambda batches: {"label": np.stack([b["label"] for b in batches])}, share=s
        )
        for s in shares
    ]
    for _ in range(6):
        got = np.concatenate([feed.next()["label"] for feed in feeds])
        assert np.array_equal(got, np.stack([plain.next()["label"] for _ in range(shares[0].of)]))
        assert len({json.dumps(feed.state()) for feed in feeds}) == 1
    for feed in feeds:
        feed.close()


def test_closing_ends_the_threads_and_the_sources():
    before = threading.active_count()
    source = Counting()
    feed = Feed({"n": source})
    feed.next()
    feed.close()
    feed.close()
    assert source.closed
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="closed"):
        feed.next()


def test_closing_does_not_wait_for_a_read_that_hangs(monkeypatch):
    monkeypatch.setattr("engine.data.feed._CLOSE_TIMEOUT", 0.05)
    source = Counting(hang_at=1)
    feed = Feed({"n": source})
    feed.next()
    feed.close()
    assert not source.closed  # its thread is still in it
    source.freed.set()


def test_place_puts_the_batch():
    with Feed(
        {"n": Counting()}, place=lambda given: {k: jax.numpy.asarray(v) + 100 for k, v in given[0].items()}
    ) as feed:
        assert feed.next()["n"].item() == 100


def test_a_label_that_is_no_class_names_its_record(path):
    with Feed({"mnist": records(path)}, {"label": [LabelBounds(classes=6)]}) as feed:
        feed.next()
        with pytest.raises(DataError, match='db: record "00000006": label 6 in "label"; the net has 6 classes, 0 to 5'):
            feed.next()


def test_the_ignored_label_may_be_outside(path):
    with Feed({"mnist": records(path, 10)}, {"label": [LabelBounds(classes=9, ignore=9)]}) as feed:
        assert feed.next()["label"].shape == (10,)


def test_a_label_that_one_layer_ignores_and_another_counts_names_both(path):
    bounds = [
        LabelBounds(9, 9, 'layer "loss" (SoftmaxWithLoss)', "loss_param"),
        LabelBounds(9, None, 'layer "top1" (Accuracy)', "accuracy_param"),
    ]
    with Feed({"mnist": records(path, 10)}, {"label": bounds}) as feed, pytest.raises(DataError) as error:
        feed.next()
    assert str(error.value).endswith(
        'label 9 in "label" is ignored by layer "loss" (SoftmaxWithLoss), and layer "top1" (Accuracy) counts it, with '
        'classes 0 to 8. Give layer "top1" (Accuracy) accuracy_param { ignore_label: 9 } too.'
    )


def test_a_label_that_is_no_number_is_told(path):
    source = records(path)
    read = source.next
    source.next = lambda: {"data": read()["data"], "label": np.float32([0, np.nan, 1, 2])}
    feed = Feed({"mnist": source}, {"label": [LabelBounds(classes=10)]})
    with feed, pytest.raises(DataError, match='db: record "00000001": label nan in "label"'):
        feed.next()


@pytest.mark.parametrize(
    ("prefetch", "says"),
    [
        (0, "prefetch is 0; 1 or more"),
        (2**32 - 1, "prefetch 4,294,967,295 batches of 160 B takes 640.0 GiB of memory"),
    ],
)
def test_batches_ahead_that_cannot_be(path, prefetch, says):
    source = records(path)
    source.prefetch = prefetch
    with pytest.raises(DataError, match=f'layer "mnist": .*{says}'):
        Feed({"mnist": source})


@pytest.mark.slow
def test_memory_stays_flat_over_100_000_batches(path):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with Feed({"mnist": records(path)}) as feed:
        for _ in range(20_000):
            feed.next()
        before = resident()
        for _ in range(80_000):
            feed.next()
    assert resident() - before < 2 << 20
