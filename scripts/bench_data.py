"""Times how fast records become batches: by the feed, a plain loop over the same libraries, and PyTorch's DataLoader.

All do the same work on databases built for it: JPEG pictures of 256×256, cropped to 227 and mirrored at random, minus a
mean file; and raw records like MNIST's, scaled. The plain loop is one thread with lmdb, OpenCV and numpy. Each
candidate runs, warmed up, in its own process, and they take turns; the report gives the medians and quartiles of the
ratios within rounds.

The serial part is the time per record for which the interpreter's lock is held, whatever the pictures' size. It is
measured with records as long as the JPEG ones but with pictures of 16×16, minus the time in the libraries' functions.
By Amdahl's law, the serial part and the time of one thread give the speed on more cores.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import cv2
import lmdb
import numpy as np
from bench import ROOT, Timed, take_turns

from engine.proto import caffe_pb2 as pb

BATCH = 64
AHEAD = 6
"""Batches that may have been prefetched during the other candidates' turns; these are not timed."""
CROP, SIDE, TINY = 227, 256, 16
RECORDS = {"jpeg": 1024, "mnist": 30_000}
CASES = tuple(RECORDS)
EPILOG = """examples:
  scripts/bench data
  scripts/bench data --torch /tmp/torch/bin/python --json    a Python with torch, lmdb, opencv-python-headless, protobuf
"""


# The records


def make(folder: Path) -> None:
    """Writes the databases jpeg, tiny and mnist, and the mean files."""
    rng = np.random.default_rng(1)
    pictures = [cv2.imencode(".jpg", _picture(rng))[1].tobytes() for _ in range(RECORDS["jpeg"])]
    _write(folder / "jpeg", [_encoded(p, SIDE, i) for i, p in enumerate(pictures)])
    size = round(sum(map(len, pictures)) / len(pictures))
    tiny = [cv2.imencode(".jpg", _picture(rng)[:TINY, :TINY])[1].tobytes() for _ in range(512)]
    _write(folder / "tiny", [_encoded(p.ljust(size, b"\0"), TINY, i) for i, p in enumerate(tiny)])
    digits = rng.integers(256, size=(RECORDS["mnist"], 784), dtype=np.uint8)
    raw = [pb.Datum(channels=1, height=28, width=28, data=d.tobytes(), label=i % 10) for i, d in enumerate(digits)]
    _write(folder / "mnist", raw)
    for side in (SIDE, TINY):
        mean = pb.BlobProto(num=1, channels=3, height=side, width=side, data=rng.uniform(90, 150, 3 * side * side))
        (folder / f"mean{side}").write_bytes(mean.SerializeToString())


def _picture(rng: np.random.Generator) -> np.ndarray:
    """A picture that compresses like a photograph: noise on several scales, strongest on the coarse ones."""
    scales = [(4, 90), (16, 45), (64, 25), (256, 9)]
    layers = [cv2.resize(rng.normal(0, s, (n, n, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for n, s in scales]
    return np.clip(sum(layers) + np.float64(120), 0, 255).astype(np.uint8)


def _encoded(data: bytes, side: int, number: int) -> pb.Datum:
    return pb.Datum(channels=3, height=side, width=side, data=data, label=number % 1000, encoded=True)


def _write(path: Path, records: list[pb.Datum]) -> None:
    with lmdb.open(str(path), map_size=1 << 30, sync=False) as env, env.begin(write=True) as txn:
        for i, record in enumerate(records):
            txn.put(b"%08d" % i, record.SerializeToString())


# The candidates: each returns a function that makes a given number of batches.


def plain(folder: Path, case: str) -> Callable[[int], None]:
    """One thread that uses only the libraries."""
    cv2.setNumThreads(1)
    one = prepared(folder, case)
    env = lmdb.open(str(folder / case), readonly=True, lock=False)
    values = cycle_of(env)

    def run(batches: int) -> None:
        for _ in range(batches):
            records = [one(next(values)) for _ in range(BATCH)]
            np.stack([picture for picture, _ in records])
            np.array([label for _, label in records], np.float32)

    return run


def cycle_of(env: lmdb.Environment) -> Iterator[bytes]:
    """The values of a database, in an endless cycle."""
    while True:
        with env.begin() as txn:
            yield from txn.cursor().iternext(keys=False)


def prepared(folder: Path, case: str) -> Callable[[bytes], tuple[np.ndarray, int]]:
    """A function that turns a record into a float32 picture and a label, as one would write it with the libraries."""
    rng = np.random.default_rng()
    mean = np.array(pb.BlobProto.FromString((folder / f"mean{SIDE}").read_bytes()).data, np.float32)
    mean = mean.reshape(3, SIDE, SIDE)

    def jpeg(value: bytes) -> tuple[np.ndarray, int]:
        datum = pb.Datum.FromString(value)
        picture = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED).transpose(2, 0, 1)
        y, x = rng.integers(SIDE - CROP + 1, size=2)
        picture = picture[:, y : y + CROP, x : x + CROP].astype(np.float32) - mean[:, y : y + CROP, x : x + CROP]
        return (picture[:, :, ::-1] if rng.integers(2) else picture), datum.label

    def mnist(value: bytes) -> tuple[np.ndarray, int]:
        datum = pb.Datum.FromString(value)
        shape = datum.channels, datum.height, datum.width
        return np.frombuffer(datum.data, np.uint8).reshape(shape) * np.float32(1 / 256), datum.label

    return {"jpeg": jpeg, "mnist": mnist}[case]


def torch(folder: Path, case: str) -> Callable[[int], None]:
    """PyTorch's DataLoader over the same functions, with one worker per usable core."""
    import torch.utils.data as td  # noqa: PLC0415  needed only with --torch

    from engine.host import cpu_count  # noqa: PLC0415

    class Records(td.Dataset):  # type: ignore[misc, name-defined]  torch is not installed where types are checked
        def __len__(self) -> int:
            return 1 << 40

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            if not hasattr(self, "txn"):  # in the worker: an environment does not survive a fork
                cv2.setNumThreads(1)
                self.txn = lmdb.open(str(folder / case), readonly=True, lock=False).begin()
                self.one = prepared(folder, case)
            picture, label = self.one(self.txn.get(b"%08d" % (index % RECORDS[case])))
            return np.ascontiguousarray(picture), label

    loader = iter(td.DataLoader(Records(), BATCH, sampler=count(), num_workers=cpu_count.usable(), prefetch_factor=2))

    def run(batches: int) -> None:
        for _ in range(batches):
            next(loader)

    return run


def feed(folder: Path, case: str) -> Callable[[int], None]:
    """The engine's feed, including the transfer of batches to the device."""
    from engine.data.feed import Feed  # noqa: PLC0415  imports JAX, which other candidates do not need

    batches = Feed({"data": source(folder, case)})

    def run(n: int) -> None:
        for _ in range(n):
            batches.next()

    return run


def source(folder: Path, case: str) -> Any:
    """The engine's source of batches."""
    from engine.data.datum_source import DatumSource  # noqa: PLC0415
    from engine.data.lmdb_reader import LMDB  # noqa: PLC0415
    from engine.data.transform import Transform  # noqa: PLC0415

    if case == "mnist":
        transform = Transform(pb.TransformationParameter(scale=1 / 256), pb.TRAIN)
    else:
        side, crop = (TINY, TINY - 2) if case == "tiny" else (SIDE, CROP)
        transform = Transform(pb.TransformationParameter(crop_size=crop, mirror=True), pb.TRAIN, folder / f"mean{side}")
    return DatumSource(LMDB(folder / case), ("data", "label"), BATCH, transform, seed=1)


def one_thread(folder: Path, case: str) -> Callable[[int], None]:
    """The engine's source alone, in this thread."""
    batches = source(folder, case)

    def run(n: int) -> None:
        for _ in range(n):
            batches.next()

    return run


def libraries(folder: Path, case: str) -> Callable[[int], None]:
    """Only those functions of the work on tiny pictures that release the interpreter's lock."""
    env = lmdb.open(str(folder / case), readonly=True, lock=False)
    with env.begin() as txn:
        values = [np.frombuffer(pb.Datum.FromString(v).data, np.uint8) for _, v in islice(txn.cursor(), BATCH)]
    planes = np.empty((3, TINY, TINY), np.uint8)
    rows, out, mean = planes.reshape(-1, TINY), np.empty(planes.shape, np.float32), np.ones(planes.shape, np.float32)

    def run(n: int) -> None:
        for _ in range(n):
            for i, value in enumerate(values):
                cv2.split(cv2.imdecode(value, cv2.IMREAD_UNCHANGED), list(planes))
                if i % 2:
                    cv2.flip(rows, 1, dst=rows)
                out[...] = planes
                np.subtract(out, mean, out=out)

    return run


WORK = {f.__name__: f for f in (plain, torch, feed, one_thread, libraries)}


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def work(name: str, case: str, folder: Path, seconds: float, clock: str) -> None:
    """Answers each line of stdin with the microseconds per record, measured over about `seconds`."""
    run = WORK[name](folder, case)

    def timed(n: int) -> float:
        start = CLOCKS[clock]()
        run(n)
        return CLOCKS[clock]() - start

    run(20)
    n = 2 * AHEAD
    while (elapsed := timed(n)) < seconds / 4:
        n *= 2
    n = max(2 * AHEAD, round(n * seconds / elapsed))
    print("ready", flush=True)
    for _ in sys.stdin:
        run(AHEAD)
        print(timed(n) / (n * BATCH) * 1e6, flush=True)


# The comparison


def compare(case: str, cores: int, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The speed of the feed on `cores` cores, compared with the other candidates."""
    names = ["feed", "plain"] + (["torch"] if args.torch else [])
    us = measured([(name, case) for name in names], cores, "wall", folder, args)
    result: dict[str, Any] = {"case": case, "cores": cores}
    for name, times in zip(names, us, strict=True):
        result[f"{name}_per_s"] = 1e6 / median(times)
        if name != "feed":
            ratios = [other / own for own, other in zip(us[0], times, strict=True)]
            result[f"against_{name}"] = median(ratios)
            result[f"against_{name}_quartiles"] = quantiles(ratios, n=4)[::2]
    return result


def core(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Raw records per second of processor time, summed over the feed's threads."""
    us = measured([("feed", "mnist"), ("one_thread", "mnist"), ("plain", "mnist")], 1, "cpu", folder, args)
    feed, one_thread, plain_loop = (1e6 / median(times) for times in us)
    return {"case": "mnist", "feed_per_core_s": feed, "source_per_core_s": one_thread, "plain_per_core_s": plain_loop}


def scaling(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """How many times faster than the plain loop JPEG records would be on 16 cores. Times: processor µs per record."""
    pairs = [("plain", "jpeg"), ("one_thread", "jpeg"), ("one_thread", "tiny"), ("libraries", "tiny")]
    us = measured(pairs, 1, "cpu", folder, args)
    rounds = list(zip(*us, strict=True))
    serial = median(tiny - library for _, _, tiny, library in rounds)
    one_thread, plain_loop = median(one_thread for _, one_thread, _, _ in rounds), median(base for base, *_ in rounds)
    return {
        "case": "jpeg",
        "plain_us": plain_loop,
        "one_thread_us": one_thread,
        "serial_us": serial,
        "against_plain_on_16": plain_loop / (serial + (one_thread - serial) / 16),
    }


def measured(
    pairs: list[tuple[str, str]], cores: int, clock: str, folder: Path, args: argparse.Namespace
) -> list[list[float]]:
    """The microseconds per record of each (work, case), round by round; clock "cpu" sums over all threads."""
    times: list[list[float]] = [[] for _ in pairs]
    with ExitStack() as stack:
        processes = []
        for name, case in pairs:
            python = args.torch if name == "torch" else sys.executable
            command = [python, __file__, "--work", name, "--case", case, "--folder", str(folder), "--clock", clock]
            process = Timed([*command, "--seconds", str(args.seconds)], ROOT, NPROC=str(cores), JAX_PLATFORMS="cpu")
            processes.append(stack.enter_context(process))
        take_turns(processes, times, args.rounds)
    return times


def said(result: dict[str, Any]) -> str:
    """A line of the report."""
    if "serial_us" in result:
        return (
            f"{result['case']:6} one thread {result['one_thread_us']:.1f} µs per record, the plain loop "
            f"{result['plain_us']:.1f}; serial {result['serial_us']:.1f}: on 16 cores "
            f"{result['against_plain_on_16']:.1f} times the plain loop"
        )
    if "feed_per_core_s" in result:
        return (
            f"{result['case']:6} {result['feed_per_core_s']:,.0f} per second and core; without the device "
            f"{result['source_per_core_s']:,.0f}; the plain loop {result['plain_per_core_s']:,.0f}"
        )
    line = f"{result['case']:6} {result['cores']:2} cores {result['feed_per_s']:10,.0f} per second"
    for name in ("plain", "torch"):
        if f"against_{name}" in result:
            low, high = result[f"against_{name}_quartiles"]
            line += f"   {result[f'against_{name}']:.2f} times {name} ({low:.2f} to {high:.2f})"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench data", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", metavar="PYTHON", help="compare with PyTorch, run by this Python")
    cores = min(2, os.cpu_count() or 1)
    parser.add_argument("--cores", type=int, default=cores, help="cores for the JPEG records (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each candidate (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="approximate time per round (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--clock", choices=CLOCKS, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rounds < 2 or args.seconds <= 0 or args.cores < 1:
        parser.error("--rounds must be 2 or more, --seconds more than 0, --cores 1 or more.")
    if args.work:
        work(args.work, args.case, args.folder, args.seconds, args.clock)
        return
    with tempfile.TemporaryDirectory(prefix="hpcbrew-bench-") as name:
        folder = Path(name)
        make(folder)
        for result in (
            compare("jpeg", args.cores, folder, args),
            compare("mnist", 1, folder, args),
            core(folder, args),
            scaling(folder, args),
        ):
            print(json.dumps(result) if args.json else said(result), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
