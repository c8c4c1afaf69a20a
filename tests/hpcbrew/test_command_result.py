import pytest

from hpcbrew.command_result import CommandResult


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (CommandResult(1, "noise\n", "qsub: no\n"), "qsub: no"),
        (CommandResult(1, " told \n"), "told"),
        (CommandResult(7), "exit status 7 and no message"),
    ],
)
def test_what_a_command_had_to_say(result: CommandResult, words: str) -> None:
    assert result.words == words
