from contextlib import nullcontext

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import HostUnknown, LoginRefused, TransportError
from hpcbrew.setup import login, steps
from hpcbrew.setup.steps import Person
from hpcbrew.transports.local import Local
from hpcbrew.transports.prompt import Unattended


def run(cluster: Cluster, *, asks: bool = False) -> tuple[list[str], object]:
    said: list[str] = []
    person = Person(asks, Unattended(), lambda question: True)
    transport = steps.run(cluster, person, lambda verb, total: nullcontext(lambda size: None), said.append)
    return said, transport


def test_this_machine_needs_nothing() -> None:
    said, transport = run(profiles.load("local"))
    assert said == [
        "login: this machine: nothing to do",
        "engine: jobs on this machine run in the same Python as hpcbrew: nothing to install",
    ]
    assert isinstance(transport, Local)


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (HostUnknown("login: its host key is not known", "SHA256:it", "log in once"), "--yes --fingerprint SHA256:it"),
        (LoginRefused("login: the login was refused"), "on a terminal and without --yes, run hpcbrew setup mine"),
    ],
    ids=["host", "login"],
)
def test_where_nobody_is_asked_the_error_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, refusal: TransportError, advice: str
) -> None:
    def refused(*given: object, **how: object) -> None:
        raise refusal

    monkeypatch.setattr(login, "login", refused)
    mine = Cluster.model_validate({**profiles.values("openpbs"), "name": "mine", "host": "login"})
    with pytest.raises(TransportError, match=rf"^login: .*{advice}"):
        run(mine)
    with pytest.raises(type(refusal), match=r"^login: "):
        run(mine, asks=True)
