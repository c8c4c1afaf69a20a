"""From a first login to a working account on a cluster, in four steps. Each may be run again: it finds what is there.

login    the host's key confirmed, a key of the user's own known there
scratch  the folder for jobs and data, and the link ~/scratch
engine   a virtual environment with the engine, on scratch
trial    a job of a minute
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import HostUnknown, HpcbrewError, LoginRefused, TransportError
from hpcbrew.file_lock import busy, exclusive
from hpcbrew.setup import engine_variant, install_engine, scratch
from hpcbrew.setup.install_engine import Moving, Wanted
from hpcbrew.transports.base import Transport
from hpcbrew.transports.connect import connect
from hpcbrew.transports.prompt import Prompter

T = TypeVar("T")


@dataclass(frozen=True)
class Person:
    """Who is at the terminal. `asks`: whether anything is asked at all; `prompter` answers what the login needs."""

    asks: bool
    prompter: Prompter
    confirm: Callable[[str], bool]


def setup(
    cluster: Cluster, person: Person, moving: Moving, *, gpus: bool | None = None, offline: bool = False
) -> Generator[str, None, Transport]:
    """The first three steps. Says what each did, line by line, and returns the way to the cluster.

    `gpus`: whether the engine is to be the one for GPUs; None where the site tells. `offline`: as `Wanted` has it.
    Raises HpcbrewError, which names the step; those before it are done, and found done when it is run again.
    """
    transport = yield from _step("login", _login(cluster, person))
    if cluster.scheduler == "local":
        yield "engine: jobs on this machine run in the Python that hpcbrew runs in: nothing to install"
        return transport
    root = yield from _step("scratch", scratch.prepare(transport, cluster.scratch or "", person.confirm))
    # Another one, which has come first, would take away the wheels when it is done.
    work = f"setup-{cluster.name}"
    if busy(work):
        yield f"engine: another setup of {cluster.name} is at work on this machine: waiting for it to end"
    with exclusive(work):
        extra = yield from _step("engine", engine_variant.choose(transport, cluster, gpus))
        yield from _step("engine", install_engine.install(transport, cluster, root, Wanted(extra, offline), moving))
    return transport


def _login(cluster: Cluster, person: Person) -> Generator[str, None, Transport]:
    """Where it takes a person and nobody is asked, the error says how to go on."""
    try:
        return (yield from _entered(cluster, person))
    except HostUnknown as error:
        if person.asks:
            raise
        raise TransportError(
            f"{error.fault}. Compare it with what the site publishes; if it is the same: "
            f"hpcbrew setup {cluster.name} --yes --fingerprint {error.fingerprint}"
        ) from None
    except LoginRefused as error:
        if person.asks:
            raise
        raise TransportError(
            f"{error.fault}. Nobody was asked for a password or a code. Once, on a terminal and without --yes: "
            f"hpcbrew setup {cluster.name}. It asks for them, and installs a key where the site takes keys"
        ) from None


def _entered(cluster: Cluster, person: Person) -> Generator[str, None, Transport]:
    if cluster.transport == "local":
        yield "this machine: nothing to do"
        return connect(cluster.address)
    from hpcbrew.setup.login import login, login_by_client  # noqa: PLC0415 - paramiko is slow to import
    from hpcbrew.transports.openssh import OpenSsh  # noqa: PLC0415
    from hpcbrew.transports.paramiko_ssh import resolve  # noqa: PLC0415

    assert cluster.host is not None, cluster.name  # the profile was checked
    if cluster.transport == "openssh":
        session = OpenSsh(cluster.host, attended=person.asks)
        return (yield from login_by_client(cluster.host, resolve, session, cluster.key, ask=person.asks))
    return (yield from login(cluster.host, resolve, person.prompter, cluster.key, ask=person.asks))


def _step(name: str, lines: Generator[str, None, T]) -> Generator[str, None, T]:
    """The lines of a step, each with its name before it, as in an error."""
    while True:
        try:
            line = next(lines)
        except StopIteration as end:
            result: T = end.value
            return result
        except HpcbrewError as error:
            error.args = (f"{name}: {str(error).removeprefix(f'{name}: ')}", *error.args[1:])
            raise
        yield f"{name}: {line}"
