import os

import pytest

from engine.host import cpu_count


@pytest.fixture(autouse=True)
def _nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPROC", raising=False)


def test_what_the_job_has_counts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPROC", "3")
    assert cpu_count.usable() == 3


def test_the_cores_of_this_process_count() -> None:
    assert cpu_count.usable() == len(os.sched_getaffinity(0))


def test_a_system_that_does_not_tell_has_all_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cpu_count.usable() == 7
