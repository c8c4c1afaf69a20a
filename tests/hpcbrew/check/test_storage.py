import pytest

from hpcbrew.check import storage
from hpcbrew.check.finding import Mark
from hpcbrew.transfer.disk_space import GIB, Room


@pytest.mark.parametrize(
    ("what", "free", "mark"),
    [
        ("scratch", 50 * GIB, Mark.OK),
        ("scratch", 5 * GIB, Mark.WARN),
        ("home", 5 * GIB, Mark.OK),
        ("home", GIB // 2, Mark.WARN),
        ("scratch", 0, Mark.BAD),
    ],
)
def test_little_room_is_a_warning_and_none_a_fault(what: str, free: int, mark: Mark) -> None:
    finding = storage.judge(what, "/there", Room(100 * GIB, free, "quota"))
    assert finding.mark is mark
    assert bool(finding.remedy) == (mark is not Mark.OK)


def test_a_scratch_folder_that_is_not_there_is_made_by_setup() -> None:
    assert "hpcbrew setup" in storage.judge("scratch", "/there", None).remedy
