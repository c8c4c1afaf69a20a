"""Logs in glog's form."""

import io
import logging
import re
from datetime import datetime
from pathlib import Path

import pytest

from engine import log
from engine.errors import EngineError
from engine.proto import caffe_pb2 as pb
from engine.proto import text


@pytest.fixture
def said():
    stream = io.StringIO()
    handler = log.start(stream)
    yield stream
    log.stop(handler)


def test_every_level_has_glogs_prefix(said):
    log.info("solver.cpp:45", "one")
    log.warning("solver.cpp:46", "two")
    log.error("net.cpp:671", "three")
    prefix = r"\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ "
    want = f"I{prefix}solver.cpp:45] one\nW{prefix}solver.cpp:46] two\nE{prefix}net.cpp:671] three\n"
    assert re.fullmatch(want, said.getvalue())


def test_a_place_without_a_line_has_that_of_the_caller(said):
    log.info("convert_imageset", "A total of 3 images.")
    assert re.search(r" convert_imageset\.py:\d+] A total of 3 images\.$", said.getvalue(), re.MULTILINE)


def test_notices_of_upgrades_are_said_in_the_same_form(said, tmp_path):
    (tmp_path / "old.prototxt").write_text(
        'layers { name: "a" type: RELU bottom: "x" top: "y" } input: "x" input_shape { dim: 1 }'
    )
    text.read_net(tmp_path / "old.prototxt")
    assert re.match(r"W\d{4} [\d:.]+ +\d+ upgrade\.py:\d+\] \S+old\.prototxt: ", said.getvalue())


def test_level_and_year_are_glogs_variables(monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "1")
    monkeypatch.setenv("GLOG_log_year_in_prefix", "1")
    stream = io.StringIO()
    handler = log.start(stream)
    log.info("a.cpp:1", "quiet")
    log.warning("a.cpp:2", "loud")
    log.stop(handler)
    assert re.fullmatch(r"W\d{8} .* a\.cpp:2\] loud\n", stream.getvalue())


def test_nothing_is_said_before_a_program_asks(capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffe"), "handlers", [logging.NullHandler()])  # as `import caffe` found it
    text.parse("name: 'x'", pb.NetParameter)
    log.warning("a.cpp:1", "unheard")
    assert capfd.readouterr() == ("", "")


def test_what_a_terminal_would_obey_is_shown(said):
    log.info("net.cpp:86", "Creating Layer \x1b[2J\u202econv\udcff")
    assert said.getvalue().endswith("Creating Layer \\x1b[2J\\u202econv\\xff\n")


def _told(tmp_path, **flags):
    """What goes to the screen, and into the files by their levels."""
    stream = io.StringIO()
    handlers = log.start(stream, log.LogFlags(**{"log_dir": str(tmp_path / "logs")} | flags))
    log.info("a.cpp:1", "one")
    log.warning("a.cpp:2", "two")
    log.error("a.cpp:3", "three")
    log.stop(handlers)
    written = {p.name.split(".log.")[1].split(".")[0]: p.read_text() for p in tmp_path.glob("logs/*.log.*")}
    return _messages(stream.getvalue()), {level: _messages(text) for level, text in written.items()}


def _messages(text):
    return re.findall(r"^[IWE].*\] (.*)$", text, re.MULTILINE)


ALL, FILES = (
    ["one", "two", "three"],
    {"INFO": ["one", "two", "three"], "WARNING": ["two", "three"], "ERROR": ["three"]},
)


@pytest.mark.parametrize(
    ("flags", "screen", "files"),
    [
        ({}, ALL, FILES),
        ({"log_dir": ""}, ALL, {}),
        ({"logtostderr": True}, ALL, {}),
        ({"alsologtostderr": False}, ["three"], FILES),
        ({"alsologtostderr": False, "stderrthreshold": 1}, ["two", "three"], FILES),
        ({"minloglevel": 1}, ["two", "three"], FILES | {"INFO": ["two", "three"]}),
        ({"minloglevel": 9}, [], {}),
    ],
)
def test_the_log_goes_where_glogs_flags_say(tmp_path, flags, screen, files):
    assert _told(tmp_path, **flags) == (screen, files)


def test_glogs_files_have_its_names_and_its_links(tmp_path):
    _told(tmp_path)
    link = tmp_path / "logs/caffe.INFO"
    assert re.fullmatch(r"caffe\..+\..+\.log\.INFO\.\d{8}-\d{6}\.\d+", str(link.readlink()))
    assert link.read_text().splitlines()[2] == "Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg"


def test_a_log_dir_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(EngineError, match=r"-log_dir .*logs: logs cannot be written there"):
        _told(tmp_path)


def test_a_full_disk_is_told_and_does_not_end_the_program(tmp_path, capsys):
    stream = io.StringIO()
    handlers = log.start(stream, log.LogFlags(log_dir=str(tmp_path)))
    for handler in handlers[1:]:
        handler.stream = Path("/dev/full").open("w")  # noqa: SIM115
    for _ in range(3):
        log.info("a.cpp:1", "one")
    log.stop(handlers)
    assert _messages(stream.getvalue()).count("one") == 3
    assert re.search(r"-log_dir: .* cannot be written: No space left on device", stream.getvalue())
    assert capsys.readouterr().err == ""


# The regular expressions and columns of BVLC's own tools/extra: extract_seconds.py, parse_log.py, parse_log.sh


def test_bvlcs_parse_log_reads_it(said):
    log.info("solver.cpp:289", "Solving LeNet")
    log.info("solver.cpp:239", "Iteration 100 (50 iter/s, 2s/100 iters), loss = 0.5")
    log.info("solver.cpp:258", "    Train net output #0: loss = 0.25 (* 1 = 0.25 loss)")
    log.info("sgd_solver.cpp:112", "Iteration 100, lr = 1e-05")
    for line in said.getvalue().splitlines():
        date, clock, pid, place, *_ = line.split()
        month, day = int(date[1:3]), int(date[3:])
        hour, minute, second = map(int, clock[: clock.rfind(".")].split(":"))
        datetime(2026, month, day, hour, minute, second, int(clock[clock.rfind(".") + 1 :]))
        assert pid.isdecimal()
        assert place.endswith("]")
    solving, iteration, output, rate = said.getvalue().splitlines()
    assert "] Solving " in solving
    assert re.search(r"Iteration (\d+)", iteration)[1] == "100"
    assert re.search(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)", output).groups() == ("0", "loss", "0.25")
    assert re.search(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)", rate)[1] == "1e-05"
    assert rate.split()[8] == "1e-05"
    assert output.split()[10] == "0.25"
