"""Standard output and error: open from a program's start, and at its end errors about them are reported only once."""

import io
import os
import sys


def open_missing() -> None:
    """Opens /dev/null in place of closed standard streams: the next file opened would take the descriptor, and get what
    the program prints. Characters that the output's encoding lacks are written as escapes."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def refused(error: OSError) -> str:
    """A message for an error of the system: the file that it names, or standard output if that cannot be written. In
    that case pending output is dropped, or Python would report the error again while it shuts down."""
    where = error.filename or "this machine"
    try:
        sys.stdout.flush()
    except OSError:
        where = "standard output"
        drop_output()
    return f"{where}: {error.strerror or error}"


def drop_output() -> None:
    """Discards what has not been written to standard output yet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
