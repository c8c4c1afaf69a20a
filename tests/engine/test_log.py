"""Logs in glog's form."""

import io
import re

import pytest

from engine import log
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
    prefix = r"\d{8} \d\d:\d\d:\d\d\.\d{6} \d+ "
    want = f"I{prefix}solver.cpp:45] one\nW{prefix}solver.cpp:46] two\nE{prefix}net.cpp:671] three\n"
    assert re.fullmatch(want, said.getvalue())


def test_notices_of_upgrades_are_said_in_the_same_form(said, tmp_path):
    (tmp_path / "old.prototxt").write_text(
        'layers { name: "a" type: RELU bottom: "x" top: "y" } input: "x" input_shape { dim: 1 }'
    )
    text.read_net(tmp_path / "old.prototxt")
    assert re.match(r"W\d{8} [\d:.]+ \d+ upgrade\.py:\d+\] \S+old\.prototxt: ", said.getvalue())


def test_level_and_year_are_glogs_variables(monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "1")
    monkeypatch.setenv("GLOG_log_year_in_prefix", "0")
    stream = io.StringIO()
    handler = log.start(stream)
    log.info("a.cpp:1", "quiet")
    log.warning("a.cpp:2", "loud")
    log.stop(handler)
    assert re.fullmatch(r"W\d{4} .* a\.cpp:2\] loud\n", stream.getvalue())


def test_nothing_is_said_before_a_program_asks(capfd):
    text.parse("name: 'x'", pb.NetParameter)
    log.warning("a.cpp:1", "unheard")
    assert capfd.readouterr() == ("", "")
