"""Reads training logs: those of any version of BVLC Caffe, with glog's old or new prefix, and this engine's."""

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from engine.errors import EngineError
from engine.host import regular_file

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf))"
_PREFIX = re.compile(r"[IWEF](\d{4})?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})\d* +\d+ [^\]]+\] ")
_WHOLE = r"([0-9]{1,18})"  # int() would refuse thousands of digits
_TESTING = re.compile(rf"Iteration {_WHOLE}, Testing net \(#{_WHOLE}\)")
_LOSS = re.compile(rf"Iteration {_WHOLE}(?: \([^)]*\))?, loss = {_NUMBER}")
_RATE = re.compile(rf"Iteration {_WHOLE}, lr = {_NUMBER}")
_OUTPUT = re.compile(rf"(Train|Test) net output #\d+: (.+?) = {_NUMBER}")
_SCORE = re.compile(rf"Test (score #\d+): {_NUMBER}")  # as Caffe wrote it in 2014
_TEST_LOSS = re.compile(rf"Test loss: {_NUMBER}")

_LONGEST = 1 << 12
"""The most characters of a line that are looked at: the search takes the square of their number at worst."""


class LogError(EngineError):
    """A log that cannot be read, or that contains no training and no test."""


@dataclass
class Row:
    """What a log says about an iteration; nan where it says nothing.

    seconds: from the beginning of training to the iteration's first output, as in BVLC's parse_log.py. rate: the
    learning rate. loss: the averaged loss. outputs: the net's outputs by name; further elements of an output are called
    NAME[1], NAME[2] …
    """

    iteration: int
    seconds: float = math.nan
    rate: float = math.nan
    loss: float = math.nan
    outputs: dict[str, float] = field(default_factory=dict)
    elements: Counter[str] = field(default_factory=Counter, repr=False, compare=False)
    """How many elements of each output there are so far: some nets have a million."""


@dataclass
class TrainingLog:
    """The displayed iterations, and the tests of each test net by its number, in the log's order. `diverged`: the first
    displayed iteration whose loss is not finite."""

    train: list[Row] = field(default_factory=list)
    tests: dict[int, list[Row]] = field(default_factory=dict)
    diverged: int | None = None


def read(path: str | Path) -> TrainingLog:
    """Reads a log. Raises LogError if the file cannot be read or contains no iteration."""
    try:
        regular_file.check(path)
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            year = datetime.fromtimestamp(os.fstat(lines.fileno()).st_mtime).year
            training_log = parse(iter(partial(lines.readline, _LONGEST), ""), year)
    except OSError as e:
        raise LogError(f"{path}: cannot be read: {e.strerror}.") from e
    if not training_log.train and not training_log.tests:
        raise LogError(
            f'{path}: contains no training iteration: there is no line like "Iteration 100, loss = 0.5". '
            "Is it the log of `caffe train`?"
        )
    return training_log


def parse(lines: Iterable[str], year: int) -> TrainingLog:
    """Parses the lines of a log. `year`: the year of the log's first dates, if they have none."""
    log = TrainingLog()
    train, test = Row(-1), Row(-1)
    for seconds, message in _timed((line[:_LONGEST] for line in lines), year):
        if match := _TESTING.search(message):
            test = Row(int(match[1]), seconds)
            log.tests.setdefault(int(match[2]), []).append(test)
        elif match := _LOSS.search(message) or _RATE.search(message):
            if train.iteration != int(match[1]) or not log.train:
                train = Row(int(match[1]), seconds)
                log.train.append(train)
            if match.re is _LOSS:
                train.loss = float(match[2])
                if log.diverged is None and not math.isfinite(train.loss):
                    log.diverged = train.iteration
            else:
                train.rate = float(match[2])
        elif match := _OUTPUT.search(message):
            _add(train if match[1] == "Train" else test, match[2], float(match[3]), seconds)
        elif match := _SCORE.search(message):
            _add(test, match[1], float(match[2]), seconds)
        elif match := _TEST_LOSS.search(message):
            test.loss = float(match[1])
    _spread_rates(log)
    return log


def _add(row: Row, name: str, value: float, seconds: float) -> None:
    if not row.outputs:
        row.seconds = seconds  # when the test ended, not when it began
    count = row.elements[name]
    row.elements[name] += 1
    row.outputs[f"{name}[{count}]" if count else name] = value


def _spread_rates(log: TrainingLog) -> None:
    """Gives each test, for which the log has no rate, the rate of its iteration or of the last one before it."""
    for rows in log.tests.values():
        rates = iter([row for row in log.train if not math.isnan(row.rate)])
        rate, following = math.nan, next(rates, None)
        for row in rows:
            while following is not None and following.iteration <= row.iteration:
                rate, following = following.rate, next(rates, None)
            row.rate = rate


def _timed(lines: Iterable[str], year: int) -> Iterator[tuple[float, str]]:
    """Each line's message, with the seconds since training began ("Solving …", else the first line with a date)."""
    start = before = None
    begun = False
    for line in lines:
        prefix = _PREFIX.search(line)
        message = line[prefix.end() :] if prefix else line
        now = _date(prefix, year) if prefix else None
        if prefix and now and before and not prefix[1] and before - now > timedelta(days=180):
            year += 1  # a new year began since the line before
            now = _date(prefix, year)
        before = now or before
        if now and (start is None or (not begun and message.startswith("Solving"))):
            start, begun = now, message.startswith("Solving")
        yield (now - start).total_seconds() if now and start else math.nan, message


def _date(prefix: re.Match[str], year: int) -> datetime | None:
    month, day, hour, minute, second, micros = map(int, prefix.groups()[1:])
    try:
        return datetime(int(prefix[1] or year), month, day, hour, minute, second, micros)  # local, as glog's are
    except ValueError:
        return None
