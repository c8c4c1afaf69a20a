"""`caffe` and Caffe's tools, from their first moment on: what they load takes long enough for Ctrl-C, and may not be
installed."""

import importlib
import sys
from pathlib import Path

from engine.errors import not_installed
from engine.host import collector, interrupts, windows

ELSEWHERE = {"train": "engine.cli.train_py"}
"""Programs that are no module of engine/tools."""


def main() -> int:
    """As `engine.cli.main`."""
    windows.refuse("caffe")
    with interrupts.at_once(), collector.paused():
        from engine.cli import main  # noqa: PLC0415
    with interrupts.heard():
        return main()


def tool() -> int:
    """The tool by whose name the process was started. Returns its exit status."""
    program = Path(sys.argv[0]).name
    windows.refuse(program)
    name = program.removesuffix(".py").removesuffix(".bin")
    try:
        with interrupts.at_once(program), collector.paused():
            module = importlib.import_module(ELSEWHERE.get(name, f"engine.tools.{name}"))
    except ModuleNotFoundError as error:
        print(f"{program}: error: {not_installed(error)}", file=sys.stderr)
        return 2
    with interrupts.heard(program):
        return int(module.main())
