"""Standard output and error: there from a program's start, and not complained of twice at its end."""

import io
import os
import sys


def open_missing() -> None:
    """Puts /dev/null where a standard stream is closed: the next file that is opened would take its place, and get what
    the program prints. A letter that a terminal has not is written out."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def refused(error: OSError) -> str:
    """What the system refused, in words: the file that the error names, or standard output, where that takes no more;
    what is left for it is dropped, as Python would complain of it once more while it shuts down."""
    where = error.filename or "this machine"
    try:
        sys.stdout.flush()
    except OSError:
        where = "standard output"
        drop_output()
    return f"{where}: {error.strerror or error}"


def drop_output() -> None:
    """What was not written of standard output never will be."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
