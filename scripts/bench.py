"""Times nets of configs/models: an iteration of training (solver.prototxt), a forward pass (deploy.prototxt).

Single times on a shared machine are worth little, so each is the median of rounds, and two revisions are compared in
one run: both are compiled and warm in a process of their own, they take turns, first one and then the other ahead, and
what is reported is the median of the ratios of neighbouring rounds, with their quartiles.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
MODELS = Path("configs/models")
TASKS = {"train": "solver.prototxt", "infer": "deploy.prototxt"}

EPILOG = """examples:
  scripts/bench                                  LeNet, as it is here
  scripts/bench lenet --against HEAD~1           with uncommitted changes, against the commit before the last
  scripts/bench --task train --rounds 31 --json
"""


# What is timed: runs in a process of its own, with the engine of one revision.


def train(path: Path, gpu: str) -> Callable[[int], None]:
    """n iterations of the solver, reading of data included; no tests, no snapshots, no display."""
    from engine.devices import jax_setup  # noqa: PLC0415  JAX only where something is timed

    jax_setup.prepare(gpu)
    from engine.proto import text  # noqa: PLC0415
    from engine.solver.solver import Solver  # noqa: PLC0415

    param = text.read_solver(path)
    for field in ("test_iter", "test_interval", "display", "snapshot"):
        param.ClearField(field)
    param.random_seed, param.snapshot_after_train = 1, False
    solver = Solver(param, path)

    def run(n: int) -> None:
        solver.step(n)
        solver.params[0].block_until_ready()

    return run


def infer(path: Path, gpu: str) -> Callable[[int], None]:
    """n forward passes in the TEST phase, one after the other."""
    from engine.devices import jax_setup  # noqa: PLC0415

    jax_setup.prepare(gpu)
    import jax  # noqa: PLC0415

    from engine.net.net import Net  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415
    from engine.proto import text  # noqa: PLC0415

    net = Net.from_param(text.read_net(path), phase=pb.TEST, path=path)
    params = [jax.numpy.asarray(value) for value in net.init(1)]
    keys = jax.random.split(jax.random.key(1), len(net.input_names))
    shapes = net.blob_shapes
    inputs = {name: jax.random.uniform(key, shapes[name]) for name, key in zip(net.input_names, keys, strict=True)}
    forward = jax.jit(lambda params, inputs: net.forward(params, inputs, keys[0]).outputs)

    def run(n: int) -> None:
        for _ in range(n):
            jax.block_until_ready(forward(params, inputs))

    return run


def work(task: str, path: Path, gpu: str, seconds: float) -> None:
    """Answers each line of stdin with the milliseconds that one repetition takes, measured over about `seconds`."""
    run = {"train": train, "infer": infer}[task](path, gpu)
    run(3)
    n = 1
    while (taken := _seconds(run, n)) < seconds / 4:
        n *= 2
    n = max(1, round(n * seconds / taken))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(_seconds(run, n) / n * 1e3, flush=True)


def _seconds(run: Callable[[int], None], n: int) -> float:
    started = time.perf_counter()
    run(n)
    return time.perf_counter() - started


# Who asks: one process a revision, in turns.


class Timed:
    """What is timed, in a process of its own, with the engine found at `root`: it says that it is ready, and answers
    each line with a number."""

    def __init__(self, command: list[str], root: Path, **environment: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(root), **environment}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def round(self) -> float:
        """What the next round took."""
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: the timed process ended with status {self.process.wait()}; see above.")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A folder with that revision's files, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="hpcbrew-bench-") as folder:
        there = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", there, revision], cwd=ROOT, check=True)
        try:
            yield there
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", there], cwd=ROOT, check=True)


def take_turns(timed: list[Timed], times: list[list[float]], rounds: int) -> None:
    """Adds each round's answer to the list of who gave it; each round another one is first."""
    for k in range(rounds):
        for i in (range(len(timed)), reversed(range(len(timed))))[k % 2]:
            times[i].append(timed[i].round())


def command(root: Path, task: str, path: Path, args: argparse.Namespace) -> list[str]:
    """Times a task by the script of the same revision: it knows where that one has things."""
    script = [sys.executable, str(root / "scripts" / "bench.py"), str(path), "--work", task]
    return [*script, "--gpu", args.gpu, "--seconds", str(args.seconds)]


def compare(task: str, path: Path, roots: list[Path], args: argparse.Namespace) -> dict[str, Any]:
    """Rounds of one task with the engine of each root in turn. Milliseconds; ratio: the first over the second."""
    times: list[list[float]] = [[] for _ in roots]
    with ExitStack() as stack:
        timed = [stack.enter_context(Timed(command(root, task, path, args), root)) for root in roots]
        take_turns(timed, times, args.rounds)
    result: dict[str, Any] = {"net": path.parent.name, "task": task, "ms": median(times[0])}
    if len(times) == 2:
        ratios = [a / b for a, b in zip(*times, strict=True)]
        result |= {"against_ms": median(times[1]), "ratio": median(ratios)}
        result["ratio_quartiles"] = quantiles(ratios, n=4)[::2]
    return result


def said(result: dict[str, Any]) -> str:
    """A line of the report."""
    line = f"{result['net']:12} {result['task']:6} {result['ms']:9.2f} ms"
    if "ratio" in result:
        low, high = result["ratio_quartiles"]
        line += f"   against {result['against_ms']:9.2f} ms   ratio {result['ratio']:.3f} ({low:.3f} to {high:.3f})"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nets", nargs="*", default=["lenet"], metavar="NET", help="folders of configs/models (lenet)")
    parser.add_argument(
        "--against", metavar="REV", help="a git revision to take turns with; ratios below 1: faster here"
    )
    parser.add_argument("--task", choices=TASKS, action="append", help="only this one (both)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="about how long a round takes (%(default)s)")
    parser.add_argument("--gpu", default="", metavar="N", help="the GPU to use; without it, the CPU")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--work", choices=TASKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rounds < 2 or args.seconds <= 0:
        parser.error("--rounds takes 2 or more, --seconds more than 0.")
    if args.work:
        work(args.work, Path(args.nets[0]), args.gpu, args.seconds)
        return
    paths = [(task, ROOT / MODELS / net / TASKS[task]) for net in args.nets for task in args.task or TASKS]
    for _, path in paths:
        if not path.is_file():
            parser.error(
                f"{path}: no such file. There are: {', '.join(sorted(p.name for p in (ROOT / MODELS).iterdir()))}"
            )
    with ExitStack() as stack:
        roots = [ROOT] + ([stack.enter_context(checked_out(args.against))] if args.against else [])
        for task, path in paths:
            result = compare(task, path, roots, args)
            print(json.dumps(result) if args.json else said(result), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
