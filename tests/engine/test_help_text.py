import click
import pytest

from engine import help_text

HELP = """Does it.

\b
Table:
  2    bad input: nothing was submitted and nothing is left

\b
Examples:
  go there --cluster iitd --gpu --walltime 12h
  go
"""


@pytest.fixture
def shown() -> list[str]:
    """The help, in forty columns."""
    formatter = help_text.HelpFormatter(width=40)
    formatter.write_text(HELP)
    return formatter.getvalue().splitlines()


def test_a_long_example_goes_on_as_a_shell_reads_it(shown: list[str]) -> None:
    assert shown[-3:] == ["  go there --cluster iitd --gpu \\", "      --walltime 12h", "  go"]


def test_the_row_of_a_table_goes_on_below_its_second_column(shown: list[str]) -> None:
    assert shown[3:5] == ["  2    bad input: nothing was submitted", "       and nothing is left"]


def test_what_fits_is_left_as_it_is(shown: list[str]) -> None:
    assert shown[:3] == ["Does it.", "", "Table:"]


def test_a_command_s_help_is_laid_out_so() -> None:
    command = click.Command("c", help="\b\nExamples:\n  c --first 1234567890 --second 1234567890")
    command.context_class = help_text.Context
    with command.make_context("c", [], terminal_width=30, resilient_parsing=True) as ctx:
        assert "--first 1234567890 \\\n" in command.get_help(ctx)


def test_the_list_of_a_group_s_commands_cuts_no_sentence_short() -> None:
    group = help_text.Group("g")
    group.add_command(click.Command("c", help=f"Reads {'every record and ' * 6}says so. More."))
    with group.make_context("g", [], terminal_width=40, resilient_parsing=True) as ctx:
        assert group.get_help(ctx).endswith("says so.")
