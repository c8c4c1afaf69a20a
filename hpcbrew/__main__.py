"""The entry point of the `hpcbrew` command and of `python -m hpcbrew`."""

import signal
import sys

from engine.host import windows


def main() -> None:
    """Runs the command. Ctrl-C while its modules are still being imported also gives a message, not a traceback."""
    windows.refuse("hpcbrew")
    try:
        from hpcbrew.cli import main as command  # noqa: PLC0415
    except KeyboardInterrupt:
        print("hpcbrew: interrupted before it began: nothing was submitted", file=sys.stderr)
        sys.exit(130)
    try:
        command()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is written: ignore Ctrl-C while Python shuts down


if __name__ == "__main__":
    main()
