"""`caffe`, from its first moment on: loading the command line takes long enough for Ctrl-C."""

from engine.host import interrupts


def main() -> int:
    """As `engine.cli.main`."""
    with interrupts.at_once():
        from engine.cli import main  # noqa: PLC0415
    return main()
