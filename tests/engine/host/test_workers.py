"""Work that is shared among threads: every piece once, and of what goes wrong the first."""

import threading

import pytest

from engine.host import workers


@pytest.mark.parametrize("threads", [None, 1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 200])
def test_every_piece_is_done_once(count, threads):
    done = []
    workers.share(done.append, count, threads)
    assert sorted(done) == list(range(count))


def test_a_piece_may_wait_for_one_of_a_lower_number():
    first = threading.Event()

    def work(number):
        if number:
            assert first.wait(10)
        else:
            first.set()

    for _ in range(50):
        first.clear()
        workers.share(work, 9, threads=4)


@pytest.mark.parametrize("threads", [1, 4])
def test_what_the_first_bad_piece_raised_is_raised_and_no_more_is_begun(threads):
    done = []

    def work(number):
        done.append(number)
        if number >= 3:
            raise ValueError(number)

    with pytest.raises(ValueError, match="3"):
        workers.share(work, 1000, threads)
    assert len(done) < 100


def test_several_may_share_at_once():
    totals = []

    def many():
        done = []
        workers.share(done.append, 300)
        totals.append(sum(done))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [300 * 299 // 2] * 8
