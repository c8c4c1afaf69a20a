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


def choose(there, profile=GENERIC, wanted: bool | None = None) -> tuple[str, list[str]]:
    steps, said = engine_variant.choose(there.transport, profile, wanted), []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return end.value, said


def pbsnodes(there, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    there.script("bin/pbsnodes", text)
    monkeypatch.setenv("PATH", f"{there.bin}:/usr/bin:/bin")


def test_nodes_with_gpus_get_the_engine_for_them(there, monkeypatch: pytest.MonkeyPatch) -> None:
    pbsnodes(there, monkeypatch, f"tail -n +2 {CAPTURES}/nodes_busy_a.txt")
    extra, (said,) = choose(there)
    assert (extra, said) == ("cuda12", "1 of 1 nodes have GPUs: it is installed for them")


def test_nodes_without_any_get_the_engine_for_cpus(there, monkeypatch: pytest.MonkeyPatch) -> None:
    pbsnodes(there, monkeypatch, f"cat <<'END'\n{WITHOUT}END")
    extra, (said,) = choose(there)
    assert extra == "engine"
    assert said.startswith("none of the 1 nodes has a GPU (pbsnodes -a): it is installed for CPUs")


def test_nodes_that_cannot_be_asked_are_as_the_profile_says(there, monkeypatch: pytest.MonkeyPatch) -> None:
    pbsnodes(there, monkeypatch, "echo 'pbsnodes: cannot connect to server' >&2; exit 1")
    extra, (said,) = choose(there)
    assert extra == "cuda12"
    assert "cannot be asked (pbsnodes -a (exit status 1): pbsnodes: cannot connect to server)" in said


def test_a_profile_without_gpus_is_believed(there) -> None:
    assert choose(there, GENERIC.model_copy(update={"gpus_per_node": 0}))[0] == "engine"


@pytest.mark.parametrize(("wanted", "extra"), [(True, "cuda12"), (False, "engine")])
def test_what_the_user_says_is_not_asked_for(there, wanted: bool, extra: str) -> None:
    assert choose(there, wanted=wanted) == (extra, [])
