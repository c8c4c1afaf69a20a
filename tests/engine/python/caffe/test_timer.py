import time

import caffe


def test_a_timer_measures_milliseconds_from_start_to_stop():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.stop()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.02)
    timer.stop()
    assert 20 <= timer.ms < 10_000


def test_a_timer_that_runs_is_not_started_again_and_stops_where_it_is_read():
    timer = caffe.Timer()
    timer.start()
    time.sleep(0.02)
    timer.start()
    assert timer.ms >= 20
    first = timer.ms
    assert timer.ms == first
