"""The session of tests: its environment, how many share it, and the programs that are compiled once for all."""

import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("support")  # before anything imports it
from support import surroundings  # noqa: E402

pytest_plugins = ["support.fixtures"]

surroundings.clear(os.environ)  # before JAX reads it
surroundings.take_interrupts()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For folders one more than there are cores, since tests wait for servers and queues a good part of the time; none
    for files alone, which are done before a worker has started."""
    folders = any(Path(argument.partition("::")[0]).is_dir() for argument in config.args)
    return len(os.sched_getaffinity(0)) + 1 if folders else 0


def pytest_configure(config: pytest.Config) -> None:
    """What one worker, or a process that a test starts, has compiled, the others read. XLA's threads would only take
    turns on the cores that the workers share."""
    if hasattr(config, "workerinput"):
        return  # it has the environment of the process that started it
    folder = tempfile.TemporaryDirectory(prefix="hpcbrew-tests-compiled-")
    config.add_cleanup(folder.cleanup)
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": folder.name,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "NPROC": "1",
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """What a test printed goes from its worker as UTF-8: bytes that were none, as hostile names have, are escaped."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
