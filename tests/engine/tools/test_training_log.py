"""What is read of logs: BVLC's, of several ages, and ours."""

import math

import pytest

from engine.tools.training_log import LogError, parse, read

OLD = """\
I0707 23:59:50.000000  7 solver.cpp:160] Solving LeNet
I0707 23:59:51.000000  7 solver.cpp:247] Iteration 0, Testing net (#0)
I0707 23:59:52.000000  7 solver.cpp:298]     Test net output #0: accuracy = 0.1
I0707 23:59:52.000000  7 solver.cpp:298]     Test net output #1: loss = 2.3 (* 1 = 2.3 loss)
I0707 23:59:53.500000  7 solver.cpp:191] Iteration 0, loss = 2.25
I0707 23:59:53.500000  7 solver.cpp:206]     Train net output #0: loss = 2.5 (* 1 = 2.5 loss)
I0707 23:59:53.500000  7 solver.cpp:516] Iteration 0, lr = 0.01
I0708 00:00:00.250000  7 solver.cpp:191] Iteration 100 (10 iter/s, 10s/100 iters), loss = nan
I0708 00:00:00.250000  7 solver.cpp:206]     Train net output #0: loss = -nan (* 1 = -nan loss)
I0708 00:00:00.250000  7 sgd_solver.cpp:106] Iteration 100, lr = 1e-05
I0708 00:00:01.000000  7 solver.cpp:247] Iteration 150, Testing net (#0)
I0708 00:00:01.000000  7 solver.cpp:298]     Test net output #0: accuracy = 0.9
I0708 00:00:01.000000  7 solver.cpp:247] Iteration 150, Testing net (#1)
I0708 00:00:01.000000  7 solver.cpp:298]     Test net output #0: accuracy = 0.8
"""


def test_iterations_and_tests_are_told_apart():
    log = parse(OLD.splitlines(), 2015)
    first, second = log.train
    assert (first.iteration, first.seconds, first.loss, first.rate) == (0, 3.5, 2.25, 0.01)
    assert first.outputs == {"loss": 2.5}
    assert (second.iteration, second.seconds, second.rate) == (100, 10.25, 1e-5)
    assert math.isnan(second.loss)
    assert math.isnan(second.outputs["loss"])
    assert [(row.iteration, row.outputs["accuracy"]) for row in log.tests[0]] == [(0, 0.1), (150, 0.9)]
    assert [row.outputs for row in log.tests[1]] == [{"accuracy": 0.8}]


def test_a_test_has_the_time_of_its_first_output():
    assert [row.seconds for row in parse(OLD.splitlines(), 2015).tests[0]] == [2, 11]
    later = OLD.replace("00:00:01.000000  7 solver.cpp:298", "00:00:07.500000  7 solver.cpp:298")
    assert [row.seconds for row in parse(later.splitlines(), 2015).tests[0]] == [2, 17.5]


def test_a_test_has_the_rate_of_the_last_iteration_before_it():
    assert [row.rate for row in parse(OLD.splitlines(), 2015).tests[0]] == [0.01, 1e-5]


def test_newer_glog_writes_the_year():
    lines = OLD.replace("I0707", "I20150707").replace("I0708", "I20150708").splitlines()
    assert [row.seconds for row in parse(lines, 1999).train] == [3.5, 10.25]


def test_a_new_year_begins_while_training():
    lines = OLD.replace("I0707", "I1231").replace("I0708", "I0101").splitlines()
    assert [row.seconds for row in parse(lines, 2015).train] == [3.5, 10.25]


def test_lines_without_a_prefix_have_no_time():
    lines = [line.partition("] ")[2] for line in OLD.splitlines()]
    assert [(row.iteration, math.isnan(row.seconds)) for row in parse(lines, 2015).train] == [(0, True), (100, True)]


def test_elements_of_one_output_have_numbers():
    line = "Test net output #%d: per_class = 0.%d"
    log = parse(["Iteration 5, Testing net (#0)", *(line % (i, i) for i in range(3))], 2015)
    assert log.tests[0][0].outputs == {"per_class": 0.0, "per_class[1]": 0.1, "per_class[2]": 0.2}


def test_tests_of_2014_have_scores():
    lines = ["Iteration 5, Testing net (#0)", "Test score #0: 0.5", "Test loss: 1.5"]
    (row,) = parse(lines, 2014).tests[0]
    assert (row.outputs, row.loss) == ({"score #0": 0.5}, 1.5)


@pytest.mark.parametrize("text", ["", "Iteration\n", "\x00\xff" * 9, "I9999 99:99:99.999999 1 a] Iteration 0"])
def test_a_log_that_tells_nothing_is_refused(tmp_path, text):
    (tmp_path / "x.log").write_bytes(text.encode("latin-1"))
    with pytest.raises(LogError, match=r"x\.log: contains no training iteration"):
        read(tmp_path / "x.log")


def test_a_log_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(LogError, match="is a folder"):
        read(tmp_path)


def test_an_output_of_many_elements_is_read_in_time():
    lines = ["Iteration 1, Testing net (#0)", *(f"Test net output #{i}: prob = {i}" for i in range(100_000))]
    (row,) = parse(lines, 2015).tests[0]
    assert (row.outputs["prob"], row.outputs["prob[99999]"]) == (0, 99_999)


@pytest.mark.parametrize("piece", ["I0101 01:01:01.000000 1 ", "Test net output #1: ", "Iteration 1 ("])
def test_a_line_that_repeats_the_beginning_of_a_message_ends(piece):
    assert len(parse([piece * 50_000, "Iteration 2, loss = 1"], 2015).train) == 1


@pytest.mark.parametrize("message", ["Iteration {}, loss = 1", "Iteration 1, Testing net (#{})"])
def test_a_number_of_thousands_of_digits_is_none(message):
    log = parse([message.format("1" * 5000)], 2015)
    assert (log.train, log.tests) == ([], {})
