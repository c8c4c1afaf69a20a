"""How every tool ends: a status, and for what the user can put right one line without a traceback."""

import logging
import sys
from collections.abc import Callable, Sequence

from engine import log, log_flags
from engine.errors import EngineError
from engine.log import LogFlags
from engine.printable import printable


def arguments(name: str, argv: Sequence[str] | None) -> tuple[list[str], LogFlags]:
    """`argv`, or the process's arguments, without glog's flags, and what these say. A wrong one ends the tool, as
    argparse does."""
    try:
        return log_flags.split(sys.argv[1:] if argv is None else argv)
    except EngineError as e:
        print(f"{name}: error: {printable(str(e))}", file=sys.stderr)
        raise SystemExit(2) from None


def run(name: str, work: Callable[[], None], flags: LogFlags | None = None) -> int:
    """Does the `work` with the log where `flags` say.

    Returns 0; 2 for an EngineError, which it prints; 130 for Ctrl-C.
    """
    handlers: Sequence[logging.Handler] = ()
    try:
        handlers = log.start(flags=flags, program=name)
        work()
    except EngineError as e:
        print(f"{name}: error: {printable(str(e))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing half made is left.", file=sys.stderr)
        return 130
    finally:
        log.stop(handlers)
    return 0
