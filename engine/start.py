"""Entry points of `caffe` and Caffe's tools. Their imports take long enough to be interrupted by Ctrl-C, and may be
missing: both are handled here."""

import importlib
import sys
from pathlib import Path

from engine.errors import not_installed
from engine.host import collector, interrupts, windows

ELSEWHERE = {"train": "engine.cli.train_py"}
"""The module of each program that is not in engine/tools."""


def main() -> int:
    """Runs `engine.cli.main`. Returns its exit status."""
    windows.refuse("caffe")
    with interrupts.at_once(), collector.paused():
        from engine.cli import main  # noqa: PLC0415
    with interrupts.heard():
        return main()


def tool() -> int:
    """Runs the tool whose name the process was started under. Returns its exit status."""
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
