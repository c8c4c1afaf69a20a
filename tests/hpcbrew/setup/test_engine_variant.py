import pytest
from support.captures import FOLDER as CAPTURES

from hpcbrew.clusters import profiles
from hpcbrew.setup import engine_variant

GENERIC = profiles.load("openpbs")
WITHOUT = """pbs02
     state = free
     resources_available.ncpus = 8
     resources_available.vnode = pbs02
"""


def choose(login_home, profile=GENERIC, wanted: bool | None = None) -> tuple[str, list[str]]:
    said: list[str] = []
    extra = engine_variant.choose(login_home.transport, profile, wanted, said.append)
    return extra, said


def pbsnodes(login_home, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    login_home.script("bin/pbsnodes", text)
    monkeypatch.setenv("PATH", f"{login_home.bin}:/usr/bin:/bin")


def test_nodes_with_gpus_get_the_engine_for_them(login_home, monkeypatch: pytest.MonkeyPatch) -> None:
    pbsnodes(login_home, monkeypatch, f"tail -n +2 {CAPTURES}/nodes_busy_a.txt")
    extra, (said,) = choose(login_home)
    assert (extra, said) == ("cuda12", "1 of 1 nodes have GPUs: installing the engine for them")


def test_nodes_without_any_get_the_engine_for_cpus(login_home, monkeypatch: pytest.MonkeyPatch) -> None:
    pbsnodes(login_home, monkeypatch, f"cat <<'END'\n{WITHOUT}END")
    extra, (said,) = choose(login_home)
    assert extra == "engine"
    assert said.startswith("none of the 1 nodes has a GPU (pbsnodes -a): installing the engine for CPUs")


@pytest.mark.parametrize(("counted", "says"), [("naccelerators", "1 of 1 nodes have GPUs"), ("none", "does not count")])
def test_gpus_of_another_name_and_those_that_nobody_counts_are_there(
    login_home, monkeypatch: pytest.MonkeyPatch, counted: str, says: str
) -> None:
    pbsnodes(login_home, monkeypatch, f"cat <<'END'\n{WITHOUT}     resources_available.naccelerators = 1\nEND")
    own = GENERIC.resources.model_copy(update={"gpus_as": counted})
    extra, (said,) = choose(login_home, GENERIC.model_copy(update={"resources": own}))
    assert extra == "cuda12"
    assert says in said


def test_nodes_that_cannot_be_asked_are_as_the_profile_says(login_home, monkeypatch: pytest.MonkeyPatch) -> None:
    pbsnodes(login_home, monkeypatch, "echo 'pbsnodes: cannot connect to server' >&2; exit 1")
    extra, (said,) = choose(login_home)
    assert extra == "cuda12"
    assert "could not be queried (pbsnodes -a (exit status 1): pbsnodes: cannot connect to server)" in said


def test_a_profile_without_gpus_is_believed(login_home) -> None:
    assert choose(login_home, GENERIC.model_copy(update={"gpus_per_node": 0}))[0] == "engine"


@pytest.mark.parametrize(("wanted", "extra"), [(True, "cuda12"), (False, "engine")])
def test_what_the_user_says_is_not_asked_for(login_home, wanted: bool, extra: str) -> None:
    assert choose(login_home, wanted=wanted) == (extra, [])
