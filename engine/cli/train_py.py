"""`train.py --solver FILE --gpus N …`: `caffe train` with the flags of BVLC's Python script."""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from engine import cli
from engine.errors import EngineError
from engine.job_contract import ExitCode
from engine.printable import printable
from engine.solver import settings
from engine.terminal_text import wrapped

EPILOG = """example:
  train.py --solver solver.prototxt --gpus 0 1

`caffe train -solver solver.prototxt -gpu 0,1` does the same; it has more flags, and can train on the CPU too.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status, as `caffe train` does."""
    parser = argparse.ArgumentParser(
        "train.py",
        description="Train a net using one or more GPUs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--solver", required=True, metavar="FILE", help="the solver definition")
    parser.add_argument("--snapshot", metavar="FILE", help="resume from this .solverstate")
    parser.add_argument("--gpus", type=int, nargs="+", default=[0], metavar="N", help="the GPUs to use (default: 0)")
    parser.add_argument("--timing", action="store_true", help="first time each layer of the net")
    args = parser.parse_args(argv)
    gpus = ",".join(map(str, args.gpus))
    if args.timing and (status := _timed(args.solver, args.gpus[0])):
        return status
    resumed = ["-snapshot", args.snapshot] if args.snapshot else []
    return cli.main(["train", "-solver", args.solver, "-gpu", gpus, *resumed])


def _timed(solver: str, gpu: int) -> int:
    """Runs `caffe time` on the solver's net and returns its exit status.

    The layers cannot be timed in the run itself, whose iteration is one compiled step.
    """
    try:
        param = settings.read(solver)
    except EngineError as e:
        return _wrong(str(e))
    net = param.net or param.train_net
    if not net:
        return _wrong(f"{solver}: --timing needs the net in a file of its own, named by net or train_net.")
    # A process of its own, since JAX's choice of devices is final in a process.
    command = [sys.executable, "-m", "engine.cli", "time", "-model", net, "-gpu", str(gpu), "-iterations", "10"]
    return subprocess.call(command)


def _wrong(message: str) -> int:
    print(wrapped(f"train.py: error: {printable(message)}", sys.stderr), file=sys.stderr)
    return ExitCode.WRONG


if __name__ == "__main__":
    sys.exit(main())
