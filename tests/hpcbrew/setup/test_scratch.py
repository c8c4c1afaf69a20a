from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.setup import scratch
from hpcbrew.setup.scratch import Survey


def prepare(login_home, pattern: str, answer: bool = True) -> tuple[list[str], PurePosixPath]:
    said: list[str] = []
    root = scratch.prepare(login_home.transport, pattern, lambda question: answer, said.append)
    return said, root


def test_sites_with_a_scratch_file_system_get_a_link_to_it() -> None:
    survey = Survey("/home/ee/btech/me", "", "", ("/scratch/ee/btech/me", "/scratch/me"))
    decision = scratch.decide("~/scratch", survey)
    assert (decision.make, decision.link_to) == (("/scratch/ee/btech/me",), "/scratch/ee/btech/me")


def test_a_folder_of_the_environment_is_made_and_linked(login_home) -> None:
    target = login_home.home.parent / "big" / "me"
    target.parent.mkdir()
    login_home.profile(f"export SCRATCH={target}")
    _, root = prepare(login_home, "~/scratch")
    assert (login_home.home / "scratch").readlink() == target
    assert root == PurePosixPath(login_home.home / "scratch")


def test_without_one_it_is_a_folder_in_the_home_with_a_warning(login_home) -> None:
    answer = login_home.transport.run(["bash", "-l", "-c", scratch.SURVEY], PurePosixPath("/"))
    survey = scratch.parse(answer.out)
    decision = scratch.decide("~/scratch", Survey(survey.home, "", "", ()))
    assert decision.make == (f"{login_home.home}/scratch",)
    assert "quota" in decision.words


def test_a_folder_in_the_home_is_kept_and_a_better_place_named() -> None:
    survey = Survey("/home/me", "there", "/home/me/scratch", ("/scratch/me",))
    decision = scratch.decide("~/scratch", survey)
    assert (decision.make, decision.link_to) == ((), None)
    assert "`scratch: /scratch/me`" in decision.words


def test_another_pattern_gets_its_folder_and_the_link(login_home) -> None:
    _, root = prepare(login_home, "~/work/jobs")
    assert Path(root).is_dir()
    assert (login_home.home / "scratch").readlink() == Path(root)


@pytest.mark.parametrize("sign", scratch.UNFIT)
def test_a_folder_from_which_no_engine_could_start_is_not_made(
    login_home, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    odd = login_home.home / f"o'd {sign} home"
    monkeypatch.setenv("HOME", str(odd))
    with pytest.raises(TransportError, match=r"could not start from .* another `scratch:`") as raised:
        prepare(login_home, "~/scratch")
    assert str(raised.value).startswith(f"{odd}/scratch: ")
    assert not odd.exists()


def test_a_folder_with_other_odd_signs_will_do(login_home, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = login_home.home / "o'd zoë & (x)"
    odd.mkdir()
    monkeypatch.setenv("HOME", str(odd))
    assert prepare(login_home, "~/scratch")[1] == PurePosixPath(odd / "scratch")


def test_the_second_time_nothing_changes(login_home) -> None:
    prepare(login_home, "~/work/jobs")
    (login_home.home / "work" / "jobs" / "mine").write_text("kept")
    before = sorted(login_home.home.rglob("*"))
    said, _ = prepare(login_home, "~/work/jobs")
    assert sorted(login_home.home.rglob("*")) == before
    assert said[0].startswith("found ~/scratch")


def test_what_a_dangling_link_leads_to_is_made(login_home) -> None:
    (login_home.home / "scratch").symlink_to(login_home.home / "gone")
    prepare(login_home, "~/scratch")
    assert (login_home.home / "gone").is_dir()


def test_a_link_to_elsewhere_is_the_users_and_stays(login_home) -> None:
    (login_home.home / "other").mkdir()
    (login_home.home / "scratch").symlink_to(login_home.home / "other")
    prepare(login_home, "~/work")
    assert (login_home.home / "scratch").readlink() == login_home.home / "other"


def test_a_file_in_the_way_is_an_error_and_stays(login_home) -> None:
    (login_home.home / "scratch").write_text("mine")
    with pytest.raises(TransportError, match="is a file where the scratch folder should be"):
        prepare(login_home, "~/scratch")
    assert (login_home.home / "scratch").read_text() == "mine"


def test_who_says_no_gets_no_link(login_home) -> None:
    _, root = prepare(login_home, "~/work", answer=False)
    assert not (login_home.home / "scratch").exists()
    assert Path(root).is_dir()


def test_who_says_no_to_the_scratch_folder_itself_is_told_what_to_write(login_home) -> None:
    login_home.profile(f"export SCRATCH={login_home.home}/big")
    with pytest.raises(TransportError, match="`scratch: /path"):
        prepare(login_home, "~/scratch", answer=False)


def test_a_folder_that_cannot_be_made_is_an_error(login_home) -> None:
    (login_home.home / "file").write_text("")
    with pytest.raises(TransportError, match="cannot be made or written to"):
        prepare(login_home, "~/file/jobs", answer=False)


@pytest.mark.parametrize("noise", ["@home", "@link", "@link\tthere", "@folder", "@folder\tscratch", "@link\tup\t/x"])
def test_a_row_that_is_none_is_noise(noise: str) -> None:
    survey = scratch.parse(f"{noise}\n@home\t/home/me\n@link\tdangling\t/s\n@folder\t/scratch/me\n")
    assert survey == Survey("/home/me", "dangling", "/s", ("/scratch/me",))


def test_a_home_folder_that_is_not_told_is_an_error() -> None:
    with pytest.raises(TransportError, match="the home folder there could not be found: Welcome"):
        scratch.parse("Welcome\n")
