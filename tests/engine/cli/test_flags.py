"""The flags of Caffe's own program."""

import click

from engine.cli import flags


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
