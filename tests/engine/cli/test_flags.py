"""The flags of Caffe's own program."""

from importlib import metadata

import click
import pytest

from engine.cli import flags, main


@click.command(cls=flags.Command)
@click.option("--solver")
@click.argument("rest", nargs=-1)
def command(solver, rest):
    return solver, rest


def test_flags_of_other_commands_are_taken_and_told(capsys):
    args = ["-solver", "a", "-gpu", "0", "-iterations=5", "x"]
    assert command.main(args, standalone_mode=False) == ("a", ("x",))
    said = capsys.readouterr().err
    assert "-gpu is a flag of other commands" in said
    assert "-iterations is a flag of other commands" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "s.prototxt"], "Did you mean: caffe train -solver s.prototxt\n"),
        (["test", "-weights", "w", "n.prototxt"], "Did you mean: caffe test -weights w -model n.prototxt\n"),
    ],
)
def test_a_file_without_its_flag_is_understood(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(said)


def test_the_list_of_commands_cuts_no_sentence_short(capsys):
    assert main(["--help"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert "Draw the graph of NET, a prototxt, to PICTURE, in the format of its file extension." in listed
    assert "..." not in listed.partition("Commands:")[2]


def test_the_version_is_caffes_as_programs_ask_for_it(capsys):
    assert main(["-version"]) == 0
    assert capsys.readouterr().out.splitlines() == ["caffe version 1.0.0", f"hpcbrew {metadata.version('hpcbrew')}"]
