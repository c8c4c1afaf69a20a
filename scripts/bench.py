"""Times training iterations and inference passes, and compares them with the machine's peak, PyTorch or another Caffe.

Single timings on a shared machine mean little. Therefore each candidate runs, warmed up, in its own process, and the
candidates take turns in alternating order. The report gives medians over rounds, and medians and quartiles of the
ratios within rounds. The machine's peak is measured in the same rounds. "of sgemm" is the net's FLOP/s (2 FLOPs per
multiply-add, counting only convolutions and inner products) divided by those of XLA's own product of large square
matrices.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Self

from bench_nets import NETS, definition

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("train", "infer")
SCRIPT = Path("scripts/bench_engine.py")

EPILOG = """examples:
  scripts/bench                                  time LeNet
  scripts/bench all --torch /tmp/torch/bin/python --json
  scripts/bench googlenet --layers --torch /tmp/torch/bin/python
  scripts/bench lenet --against HEAD~1           compare the working tree with the commit before the last
  scripts/bench caffenet --against /opt/caffe/build/tools/caffe
  scripts/bench resnet50 --gpu 0 --precision bfloat16

first: seconds from a process's start to the end of its first iteration, with an empty compilation cache; again: with
the cache that the first process left; ready: the part of it until the modules are loaded. MB: the peak memory of the
repetitions beyond the loaded modules; on a GPU, the GPU's memory.
"""


class Timed:
    """A process that times something, with the engine found at `root`. It reports when it is ready, and then answers
    each line with a number."""

    def __init__(self, command: list[str], root: Path, **environment: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(root), **environment}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def round(self) -> float:
        """The time of the next round."""
        return float(self.asked("go"))

    def asked(self, line: str) -> str:
        """The answer to a line."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self._answer()

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


class Worker(Timed):
    """A process that runs `bench_worker`. ready, first: seconds until it was set up and had run one iteration."""

    def __init__(self, command: list[str], root: Path, **environment: str) -> None:
        start = time.perf_counter()
        super().__init__(command, root, **environment)
        self.ready = time.perf_counter() - start
        self._answer()
        self.first = time.perf_counter() - start

    def warm(self) -> None:
        self._answer()

    def memory(self) -> float | None:
        return json.loads(self.asked("memory"))


class OtherCaffe:
    """A `caffe` binary, timed by one `caffe time` per round, which for training does not include the update."""

    def __init__(self, binary: str, net: Path, task: str, args: argparse.Namespace) -> None:
        self._command = [binary, "time", f"-model={net}", *([f"-gpu={args.gpu}"] if args.gpu else [])]
        self._average = re.compile(
            rf"Average {'Forward-Backward' if task == 'train' else 'Forward pass'}: ([\d.e+-]+) ms"
        )
        self._iterations, self._seconds = 1, args.seconds

    def warm(self) -> None:
        self._iterations = max(1, min(1000, round(self._seconds * 1e3 / self.round())))

    def round(self) -> float:
        result = subprocess.run(
            [*self._command, f"-iterations={self._iterations}"], capture_output=True, text=True, check=False
        )
        match = self._average.search(result.stdout + result.stderr)
        if result.returncode or not match:
            tail = "\n  ".join((result.stdout + result.stderr).strip().splitlines()[-5:])
            raise SystemExit(f"bench: {' '.join(self._command)} ended with status {result.returncode}:\n  {tail}")
        return float(match[1])


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A temporary worktree of the revision, removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="hpcbrew-bench-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, revision], cwd=ROOT, check=True)
        try:
            if not (tree / SCRIPT).is_file():
                raise SystemExit(f"bench: {revision} has no {SCRIPT}, which is needed to time it; use a later one.")
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def take_turns(candidates: list[Any], times: list[list[float]], rounds: int) -> None:
    """Appends each round's answers to the candidates' lists in `times`. The order alternates from round to round."""
    for k in range(rounds):
        for i in (range(len(candidates)), reversed(range(len(candidates))))[k % 2]:
            times[i].append(candidates[i].round())


@dataclass(frozen=True)
class Case:
    """A net and a task, written to files: as a prototxt, and as a plan for programs that do not read prototxts."""

    net: str
    task: str
    batch: int
    path: Path
    plan: Path
    layers: list[dict[str, Any]]
    flops: float


def laid(folder: Path, net: str, task: str, batch: int) -> Case:
    from bench_plan import flops, plan  # noqa: PLC0415  these load JAX, which --help does not need

    from engine.graph import build  # noqa: PLC0415
    from engine.net import Net  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415
    from engine.proto import text  # noqa: PLC0415

    path = folder / f"{net}_{task}.prototxt"
    path.write_text(definition(net, task, batch))
    state = pb.NetState(phase=pb.TRAIN if task == "train" else pb.TEST)
    layer_plan = plan(Net(build(text.read_net(path), state, path)))
    path.with_suffix(".json").write_text(json.dumps(layer_plan))
    return Case(
        net,
        task,
        batch,
        path,
        path.with_suffix(".json"),
        layer_plan["layers"],
        flops(layer_plan["layers"], task == "train"),
    )


class Bench:
    """The candidates and settings of a comparison. `root`: the other revision's tree; `binary`: the other caffe."""

    def __init__(self, args: argparse.Namespace, cache: Path, root: Path | None, binary: str | None) -> None:
        self.args, self.cache, self.root, self.binary = args, cache, root, binary

    def engine(self, root: Path, net: Path, task: str) -> list[str]:
        return [sys.executable, str(root / SCRIPT), str(net), task, *self._options()]

    def torch(self, plan: Path, task: str) -> list[str]:
        return [self.args.torch, str(ROOT / "scripts/bench_torch.py"), str(plan), task, *self._options()]

    def _options(self) -> list[str]:
        args = self.args
        return ["--gpu", args.gpu, "--precision", args.precision, "--seconds", str(args.seconds)]

    def run(self, case: Case) -> dict[str, Any]:
        """Runs the rounds of one case. Results: ms, milliseconds; ratio, a candidate's time divided by ours."""
        with ExitStack() as stack:

            def started(kind: type[Any], command: list[str], root: Path = ROOT, **environment: str) -> Any:
                return stack.enter_context(kind(command, root, **environment))

            our_command = self.engine(ROOT, case.path, case.task)
            empty = {"XDG_CACHE_HOME": tempfile.mkdtemp(dir=self.cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
            sides: dict[str, Any] = {"engine": started(Worker, our_command, **empty)}
            sides["engine"].warm()
            with Worker(our_command, ROOT, **empty) as second_worker:
                first_again = second_worker.first
                second_worker.warm()
            if self.root:
                command = self.engine(self.root, case.path, case.task)
                sides["against"] = started(Worker, command, self.root, TF_CPP_MIN_LOG_LEVEL="3")
            if self.args.torch:
                sides["torch"] = started(Worker, self.torch(case.plan, case.task))
            if self.binary:
                sides["against"] = OtherCaffe(self.binary, case.path, case.task, self.args)
            for name, side in sides.items():
                if name != "engine":
                    side.warm()
            machine = started(Timed, self.engine(ROOT, case.path, "machine"), TF_CPP_MIN_LOG_LEVEL="3")
            times: list[list[float]] = [[] for _ in sides]
            rates: list[list[float]] = []
            for k in range(self.args.rounds):
                order = list(enumerate(sides.values()))
                for i, side in order[:: (1, -1)[k % 2]]:
                    times[i].append(side.round())
                rates.append(json.loads(machine.asked("go")))
            return self._result(case, sides, times, rates, first_again)

    def _result(
        self, case: Case, sides: dict[str, Any], times: list[list[float]], rates: list[list[float]], first_again: float
    ) -> dict[str, Any]:
        product, copy = (median(column) for column in zip(*rates, strict=True))
        result: dict[str, Any] = {"net": case.net, "task": case.task, "batch": case.batch, "gflop": case.flops / 1e9}
        result |= {"precision": self.args.precision, "gpu": self.args.gpu or None}
        result |= {"sgemm_gflops": product / 1e9, "copy_gbytes_s": copy / 1e9}
        for (name, side), milliseconds in zip(sides.items(), times, strict=True):
            ratios = [b / a for a, b in zip(times[0], milliseconds, strict=True)]
            row = {"ms": median(milliseconds), "of_sgemm": case.flops / median(milliseconds) * 1e3 / product}
            if name != "engine":
                row |= {"ratio": median(ratios), "ratio_quartiles": quantiles(ratios, n=4)[::2]}
            if isinstance(side, Worker):
                memory = side.memory()
                row |= {"ready_s": side.ready, "first_s": side.first, "memory_mb": memory and memory / 1e6}
            result[name] = row
        result["engine"]["first_again_s"] = first_again
        return result

    def layers(self, case: Case) -> list[dict[str, Any]]:
        """One row per layer and direction, the slowest first. of_roofline: the least time possible at the device's
        rates of products and copies, divided by the time taken."""
        with Timed(self.engine(ROOT, case.path, "machine"), ROOT, TF_CPP_MIN_LOG_LEVEL="3") as machine:
            ours = self._layer_times(self.engine(ROOT, case.path, "layers"))
            product, copy = json.loads(machine.asked("go"))
        theirs = self._layer_times(self.torch(case.plan, "layers")) if self.args.torch else {}
        rows = []
        for (i, direction), ms in ours.items():
            layer, passes = case.layers[i], 1 if direction == "forward" else 2
            least = passes * max(layer["flops"] / product, layer["bytes"] / copy)
            row = {"net": case.net, "layer": layer["name"], "type": layer["type"], "direction": direction, "ms": ms}
            row |= {"of_sgemm": passes * layer["flops"] / ms * 1e3 / product, "of_roofline": least * 1e3 / ms}
            rows.append(row | {"torch_ms": theirs.get((i, direction))})
        return sorted(rows, key=lambda row: -row["ms"])

    @staticmethod
    def _layer_times(command: list[str]) -> dict[tuple[int, str], float]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
        if result.returncode:
            raise SystemExit(f"bench: {command[1]} ended with status {result.returncode}; see above.")
        return {(i, direction): ms for i, direction, ms in json.loads(result.stdout.splitlines()[-1])}


def said(result: dict[str, Any]) -> str:
    """Lines of the report: a head line, and one line for each candidate."""
    head = f"{result['net']} {result['task']}, batch {result['batch']}, {result['precision']}"
    rates = f"{result['sgemm_gflops']:.0f} GFLOP/s, copies {result['copy_gbytes_s']:.1f} GB/s"
    lines = [f"{head}: {result['gflop']:.3g} GFLOP; the machine: {rates}"]
    for name in ("engine", "against", "torch"):
        if name not in result:
            continue
        row = result[name]
        line = f"  {name:8}{row['ms']:10.2f} ms  {row['of_sgemm']:5.2f} of sgemm"
        if "ratio" in row:
            low, high = row["ratio_quartiles"]
            line += f"  {row['ratio']:.2f} times ours ({low:.2f} to {high:.2f})"
        if "first_s" in row:
            again = f", again {row['first_again_s']:.1f}" if "first_again_s" in row else ""
            memory = f"; {row['memory_mb']:.0f} MB" if row["memory_mb"] else ""
            line += f"  first {row['first_s']:.1f} s{again} (ready {row['ready_s']:.1f}){memory}"
        lines.append(line)
    return "\n".join(lines)


def said_of_layers(rows: list[dict[str, Any]]) -> str:
    head = (
        f"{'layer':24}{'type':16}{'':9}{'ms':>9}{'of sgemm':>10}{'of roofline':>13}{'torch ms':>10}{'torch/ours':>12}"
    )
    lines = [f"{rows[0]['net']}, each layer on its own, the slowest first", head]
    for row in rows:
        share = f"{row['of_sgemm']:.2f}" if row["of_sgemm"] else ""
        line = f"{row['layer']:24}{row['type']:16}{row['direction']:9}{row['ms']:9.3f}{share:>10}"
        line += f"{row['of_roofline']:13.2f}"
        if row["torch_ms"] is not None:
            line += f"{row['torch_ms']:10.3f}{row['torch_ms'] / row['ms']:12.2f}"
        lines.append(line)
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = f"{', '.join(NETS)}, or all (default: lenet)"
    parser.add_argument("nets", nargs="*", default=["lenet"], metavar="NET", help=names)
    parser.add_argument("--against", metavar="REV|PATH", help="compare with a git revision, or another caffe's binary")
    parser.add_argument("--torch", metavar="PYTHON", help="compare with PyTorch, run by this Python")
    parser.add_argument("--layers", action="store_true", help="time each layer on its own, forward and backward")
    parser.add_argument("--task", choices=TASKS, action="append", help="run only this task (default: both)")
    parser.add_argument("--batch", type=int, help="batch size (default: a usual one for the net and the device)")
    parser.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each candidate (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="approximate time per round (default: %(default)s)")
    parser.add_argument("--gpu", default="", metavar="N", help="run on this GPU (default: the CPU)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    args = parser.parse_args()
    if args.rounds < 2 or args.seconds <= 0 or (args.batch is not None and args.batch < 1):
        parser.error("--rounds must be 2 or more, --seconds more than 0, --batch 1 or more.")
    args.nets = list(NETS) if args.nets == ["all"] else args.nets
    for net in args.nets:
        if net not in NETS:
            parser.error(f"unknown net {net}. Give one of {', '.join(NETS)}, or all.")
    if args.gpu and not args.gpu.isdecimal():
        parser.error(f"--gpu {args.gpu}: give the number of one GPU, as in --gpu 0.")
    return args


def main() -> None:
    args = parsed()
    binary = args.against if args.against and Path(args.against).is_file() else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hpcbrew-bench-")))
        root = stack.enter_context(checked_out(args.against)) if args.against and not binary else None
        bench = Bench(args, folder, root, binary)
        for net in args.nets:
            usual = NETS[net].gpu if args.gpu else NETS[net].cpu
            for task in ("train",) if args.layers else args.task or TASKS:
                case = laid(folder, net, task, args.batch or usual[task])
                if args.layers:
                    rows = bench.layers(case)
                    print("\n".join(map(json.dumps, rows)) if args.json else said_of_layers(rows), flush=True)
                    continue
                result = bench.run(case)
                print(json.dumps(result) if args.json else said(result), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
