"""The `hpcbrew` command from its first moment on, and `python -m hpcbrew`."""

import signal
import sys

from engine.host import windows


def main() -> None:
    """Ctrl-C while the command is loaded ends it in words too."""
    windows.refuse("hpcbrew")
    try:
        from hpcbrew.cli import main as command  # noqa: PLC0415
    except KeyboardInterrupt:
        print("hpcbrew: interrupted before it began: nothing was submitted", file=sys.stderr)
        sys.exit(130)
    try:
        command()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is said: Ctrl-C while Python shuts down is no fault


if __name__ == "__main__":
    main()
