"""glog's flags on a command line."""

import pytest

from engine import log_flags
from engine.errors import EngineError
from engine.log import LogFlags


@pytest.mark.parametrize(
    ("line", "left", "flags"),
    [
        ("", "", {}),
        ("-logtostderr", "", {"logtostderr": True}),
        ("--logtostderr=0 x", "x", {"logtostderr": False}),
        ("x -nologtostderr y", "x y", {"logtostderr": False}),
        ("-alsologtostderr=false", "", {"alsologtostderr": False}),
        ("-log_dir logs a", "a", {"log_dir": "logs"}),
        ("-log_dir=logs a", "a", {"log_dir": "logs"}),
        ("--minloglevel 2 -stderrthreshold=1", "", {"minloglevel": 2, "stderrthreshold": 1}),
        ("-v 3 -v=-1 -vmodule=net=2 -colorlogtostderr -logbufsecs 0 -max_log_size=5", "", {}),
        ("-solver a -level -1", "-solver a -level -1", {}),
        ("- -- -x", "- -- -x", {}),
    ],
)
def test_they_are_taken_out_of_a_command_line(line, left, flags):
    assert log_flags.split(line.split()) == (left.split(), LogFlags(**flags))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-log_dir", "-log_dir needs a value: -log_dir=DIR."),
        ("-minloglevel two", 'takes a whole number, and "two" was found'),
        (f"-v={'1' * 5000}", 'takes a whole number, and "1'),
        ("-v=٣", 'takes a whole number, and "٣"'),
        ("-logtostderr=perhaps", '"perhaps" is neither'),
    ],
)
def test_values_of_another_kind_are_refused(line, said):
    with pytest.raises(EngineError, match=said):
        log_flags.split(line.split())


def test_the_environment_gives_the_defaults(monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "1")
    monkeypatch.setenv("GLOG_logtostderr", "yes")
    monkeypatch.setenv("GLOG_stderrthreshold", "x")
    assert log_flags.split(["-minloglevel=2"])[1] == LogFlags(minloglevel=2, logtostderr=True, stderrthreshold=0)
