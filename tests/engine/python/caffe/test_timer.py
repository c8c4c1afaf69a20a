"""caffe.Timer."""

import time

import caffe


def test_it_tells_milliseconds_between_start_and_stop():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.01)
    timer.stop()
    assert 9 < timer.ms < 5000
