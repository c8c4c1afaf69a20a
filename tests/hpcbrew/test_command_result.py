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


def test_of_much_that_was_said_a_message_has_both_ends() -> None:
    words = CommandResult(1, "", "begin" + "x" * 10**6 + "end").words
    assert len(words) < 3000
    assert words.startswith("begin")
    assert words.endswith("end")
