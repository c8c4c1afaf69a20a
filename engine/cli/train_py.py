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

The same is `caffe train -solver solver.prototxt -gpu 0,1`, which has more flags, and which trains on CPUs too.
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
    parser.add_argument("--snapshot", metavar="FILE", help="a .solverstate to go on from")
    parser.add_argument("--gpus", type=int, nargs="+", default=[0], metavar="N", help="the numbers of the devices (0)")
    parser.add_argument("--timing", action="store_true", help="first time the net's layers one by one")
    args = parser.parse_args(argv)
    gpus = ",".join(map(str, args.gpus))
    if args.timing and (status := _timed(args.solver, args.gpus[0])):
        return status
    resumed = ["-snapshot", args.snapshot] if args.snapshot else []
    return cli.main(["train", "-solver", args.solver, "-gpu", gpus, *resumed])


def _timed(solver: str, gpu: int) -> int:
    """`caffe time` of the solver's net: one compiled step of a run has no layers that could be timed. The status."""
    try:
        param = settings.read(solver)
    except EngineError as e:
        return _wrong(str(e))
    net = param.net or param.train_net
    if not net:
        return _wrong(f"{solver}: --timing needs a net in a file of its own, by net or train_net.")
    # In a process of its own: once JAX has chosen its devices they stay.
    command = [sys.executable, "-m", "engine.cli", "time", "-model", net, "-gpu", str(gpu), "-iterations", "10"]
    return subprocess.call(command)


def _wrong(message: str) -> int:
    print(wrapped(f"train.py: error: {printable(message)}", sys.stderr), file=sys.stderr)
    return ExitCode.WRONG


if __name__ == "__main__":
    sys.exit(main())
