import threading
from collections.abc import Iterable, Sequence

import pytest
from support import sshd

from hpcbrew.transports import process
from hpcbrew.transports.process import CommandOutput


def run(script: str, stdin: Iterable[bytes] = (), idle_timeout: float = 30) -> tuple[int, CommandOutput]:
    output = CommandOutput()
    return process.with_process(["sh", "-c", script], stdin, output, idle_timeout), output


def test_both_streams_are_heard_and_the_input_is_fed() -> None:
    status, output = run("cat; echo oops >&2; exit 3", [b"a", b"b" * 200_000])
    assert (status, output.out, output.err) == (3, b"a" + b"b" * 200_000, b"oops\n")


def test_a_command_may_end_without_reading_what_it_is_sent() -> None:
    status, output = run("echo enough", [b"x" * 2**20])
    assert (status, output.out) == (0, b"enough\n")


def test_a_connection_that_breaks_ends_what_is_heard_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    unhandled: list[object] = []
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    pieces, output = iter([b"some", EOFError()]), CommandOutput()

    def out() -> bytes:
        piece = next(pieces)
        if isinstance(piece, bytes):
            return piece
        raise piece

    assert process.talk(process.Line(len, lambda: None, out, lambda: b""), (), output, 30) is None
    assert (output.out, unhandled) == (b"some", [])


def test_one_that_closes_its_streams_and_stays_is_given_up_too() -> None:
    status, output = run("echo $$; exec >&- 2>&-; sleep 300", idle_timeout=0.5)
    assert status == process.SILENT
    assert sshd.ended(output.out.decode())


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["sh", "-c", "echo\n  two  words"], "`sh -c 'echo two words'`"),
        (["echo", "x" * 200], f"`echo {'x' * 114}…`"),
        (("sh", "-c", "mkdir a && exec qsub b", "qsub"), "`qsub`"),
    ],
    ids=["on one line", "not too long", "a script by what it says that it is"],
)
def test_a_command_is_named_so_that_a_message_can_hold_it(command: Sequence[str], shown: str) -> None:
    assert process.named(command) == shown


def test_a_large_file_is_waited_for_longer_than_a_small_one() -> None:
    assert process.read_timeout(0) == process.IDLE_TIMEOUT
    assert process.read_timeout(10 * process.SLOWEST) == process.IDLE_TIMEOUT + 10


def drips(output: CommandOutput) -> int:
    """Says something every 0.2 s for 1.2 s; up to 3 s of silence are borne with, as a busy machine may need."""
    return process.with_process(["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 0.2; echo $i; done"], (), output, 3)


def test_one_that_never_comes_to_its_end_is_given_up_unless_it_is_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TIMES", 0.2)
    assert drips(CommandOutput()) == process.SLOW
    assert drips(CommandOutput(lasting=True)) == 0


def test_what_moves_fast_goes_on_and_is_bounded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TIMES", 0.3)
    script = "for i in 1 2 3 4 5 6; do sleep 0.2; head -c 2000 /dev/zero; done"
    output = CommandOutput()
    assert process.with_process(["sh", "-c", script], (), output, 3) == 0
    assert len(output.out) == 12_000
    assert process.with_process(["sh", "-c", script], (), CommandOutput(most=5_000), 3) == process.ENDLESS
