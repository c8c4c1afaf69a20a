from collections.abc import Generator
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.setup import scratch
from hpcbrew.setup.scratch import Survey


def prepare(there, pattern: str, answer: bool = True) -> tuple[list[str], PurePosixPath]:
    steps: Generator[str, None, PurePosixPath] = scratch.prepare(there.transport, pattern, lambda question: answer)
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return said, end.value


def test_sites_with_a_scratch_file_system_get_a_link_to_it() -> None:
    survey = Survey("/home/ee/btech/me", "", "", ("/scratch/ee/btech/me", "/scratch/me"))
    decision = scratch.decide("~/scratch", survey)
    assert (decision.make, decision.link_to) == (("/scratch/ee/btech/me",), "/scratch/ee/btech/me")


def test_a_folder_of_the_environment_is_made_and_linked(there) -> None:
    target = there.home.parent / "big" / "me"
    target.parent.mkdir()
    there.profile(f"export SCRATCH={target}")
    _, root = prepare(there, "~/scratch")
    assert (there.home / "scratch").readlink() == target
    assert root == PurePosixPath(there.home / "scratch")


def test_without_one_it_is_a_folder_in_the_home_with_a_warning(there) -> None:
    answer = there.transport.run(["bash", "-l", "-c", scratch.SURVEY], PurePosixPath("/"))
    survey = scratch.parse(answer.out)
    decision = scratch.decide("~/scratch", Survey(survey.home, "", "", ()))
    assert decision.make == (f"{there.home}/scratch",)
    assert "quota" in decision.words


def test_a_folder_in_the_home_is_kept_and_a_better_place_named() -> None:
    survey = Survey("/home/me", "there", "/home/me/scratch", ("/scratch/me",))
    decision = scratch.decide("~/scratch", survey)
    assert (decision.make, decision.link_to) == ((), None)
    assert "`scratch: /scratch/me`" in decision.words


def test_another_pattern_gets_its_folder_and_the_link(there) -> None:
    _, root = prepare(there, "~/work/jobs")
    assert Path(root).is_dir()
    assert (there.home / "scratch").readlink() == Path(root)


def test_the_second_time_nothing_changes(there) -> None:
    prepare(there, "~/work/jobs")
    (there.home / "work" / "jobs" / "mine").write_text("kept")
    before = sorted(there.home.rglob("*"))
    said, _ = prepare(there, "~/work/jobs")
    assert sorted(there.home.rglob("*")) == before
    assert said[0].startswith("found ~/scratch")


def test_what_a_dangling_link_leads_to_is_made(there) -> None:
    (there.home / "scratch").symlink_to(there.home / "gone")
    prepare(there, "~/scratch")
    assert (there.home / "gone").is_dir()


def test_a_link_to_elsewhere_is_the_users_and_stays(there) -> None:
    (there.home / "other").mkdir()
    (there.home / "scratch").symlink_to(there.home / "other")
    prepare(there, "~/work")
    assert (there.home / "scratch").readlink() == there.home / "other"


def test_a_file_in_the_way_is_an_error_and_stays(there) -> None:
    (there.home / "scratch").write_text("mine")
    with pytest.raises(TransportError, match="is a file where the scratch folder should be"):
        prepare(there, "~/scratch")
    assert (there.home / "scratch").read_text() == "mine"


def test_who_says_no_gets_no_link(there) -> None:
    _, root = prepare(there, "~/work", answer=False)
    assert not (there.home / "scratch").exists()
    assert Path(root).is_dir()


def test_who_says_no_to_the_scratch_folder_itself_is_told_what_to_write(there) -> None:
    there.profile(f"export SCRATCH={there.home}/big")
    with pytest.raises(TransportError, match="`scratch: /path"):
        prepare(there, "~/scratch", answer=False)


def test_a_folder_that_cannot_be_made_is_an_error(there) -> None:
    (there.home / "file").write_text("")
    with pytest.raises(TransportError, match="cannot be made or written to"):
        prepare(there, "~/file/jobs", answer=False)
