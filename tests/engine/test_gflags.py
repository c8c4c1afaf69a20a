"""gflags' syntax."""

import click
import pytest

from engine import gflags


@click.command(cls=gflags.Command)
@click.option("--solver")
@click.option("--level", type=int, default=0)
@click.option("--progress/--noprogress", default=True)
@click.argument("rest", nargs=-1)
def command(solver, level, progress, rest):
    return solver, level, progress, rest


def _parsed(line: str):
    return command.main(line.split(), standalone_mode=False)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("-solver a", ("a", 0, True, ())),
        ("--solver a", ("a", 0, True, ())),
        ("-solver=a", ("a", 0, True, ())),
        ("--solver=a=b", ("a=b", 0, True, ())),
        ("-solver -level", ("-level", 0, True, ())),
        ("-undefok=foo,level -foo=1 -nofoo -level 2", (None, 2, True, ())),
        ("-level -3", (None, -3, True, ())),
        ("-level=-3 x y", (None, -3, True, ("x", "y"))),
        ("-noprogress", (None, 0, False, ())),
        ("-progress=false -solver a", ("a", 0, False, ())),
        ("--progress=1", (None, 0, True, ())),
        ("-- -solver", (None, 0, True, ("-solver",))),
        ("-", (None, 0, True, ("-",))),
        ("-solver a -logtostderr=1 -v 2 -nologtostderr -minloglevel 3 x", ("a", 0, True, ("x",))),
    ],
)
def test_flags_are_read_as_gflags_reads_them(line, want):
    assert _parsed(line) == want


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-solvr a", 'unknown flag "-solvr"; did you mean -solver?'),
        ("--xyzzy=1", 'unknown flag "--xyzzy"; `'),
        ("-progress=perhaps", '"perhaps" is neither'),
        ("-solver", "requires an argument"),
        ("-level=two", "'two' is not a valid integer"),
    ],
)
def test_other_flags_are_refused(line, message):
    with pytest.raises(click.UsageError) as error:
        _parsed(line)
    assert message in error.value.format_message()


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("train -solver a", "train -solver a"),
        ("-solver=a train -level 1", "train -solver=a -level 1"),
        ("-solver a", "--solver a"),
        ("--help", "--help"),
        ("-help", "--help"),
        ("-helpshort", "--help"),
        ("-version", "--version"),
        ("", ""),
    ],
)
def test_the_command_may_come_behind_its_flags(line, want):
    assert gflags.command_first(line.split(), {"train", "test"}) == want.split()


def test_undefok_names_flags_that_may_be_unknown():
    args, names = gflags.undefined_allowed(["x", "-undefok=a,b", "-a=1", "-undefok", "c", "--", "-undefok=d"])
    assert args == ["x", "-a=1", "--", "-undefok=d"]
    assert names == {"a", "b", "c", "noa", "nob", "noc"}
