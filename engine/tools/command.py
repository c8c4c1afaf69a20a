"""How every tool ends: a status, and for what the user can put right one line without a traceback."""

import sys
from collections.abc import Callable

from engine import log
from engine.errors import EngineError


def run(name: str, work: Callable[[], None]) -> int:
    """Does the `work` with the log on stderr. Returns 0; 2 for an EngineError, which it prints; 130 for Ctrl-C."""
    handler = log.start()
    try:
        work()
    except EngineError as e:
        print(f"{name}: error: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing half made is left.", file=sys.stderr)
        return 130
    finally:
        log.stop(handler)
    return 0
