"""The first three steps of a setup, one after the other; the trial job (`trial_job`) is the fourth."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import HostUnknown, HpcbrewError, LoginRefused, TransportError
from hpcbrew.file_lock import busy, exclusive
from hpcbrew.setup import engine_variant, install_engine, scratch
from hpcbrew.setup.install_engine import Moving, Wanted
from hpcbrew.setup.report import Report
from hpcbrew.transports.base import Transport
from hpcbrew.transports.connect import connect
from hpcbrew.transports.prompt import Prompter


@dataclass(frozen=True)
class Person:
    """Who is at the terminal. `asks`: whether anything is asked at all; `prompter` answers what the login needs."""

    asks: bool
    prompter: Prompter
    confirm: Callable[[str], bool]


def run(
    cluster: Cluster,
    person: Person,
    moving: Moving,
    report: Report,
    *,
    gpus: bool | None = None,
    offline: bool = False,
) -> Transport:
    """Reports what each step did, and returns the way to the cluster.

    `gpus`: whether the engine is to be the one for GPUs; None where the site tells. `offline`: as `Wanted` has it.
    Raises HpcbrewError, which names the step; those before it are done, and found done when it is run again.
    """
    with _step("login", report) as told:
        transport = _login(cluster, person, told)
    if cluster.scheduler == "local":
        report("engine: jobs on this machine run in the Python that hpcbrew runs in: nothing to install")
        return transport
    with _step("scratch", report) as told:
        root = scratch.prepare(transport, cluster.scratch or "", person.confirm, told)
    # Another one, which has come first, would take away the wheels when it is done.
    work = f"setup-{cluster.name}"
    if busy(work):
        report(f"engine: another setup of {cluster.name} is at work on this machine: waiting for it to end")
    with exclusive(work), _step("engine", report) as told:
        extra = engine_variant.choose(transport, cluster, gpus, told)
        install_engine.install(transport, cluster, root, Wanted(extra, offline), moving, told)
    return transport


@contextmanager
def _step(name: str, report: Report) -> Iterator[Report]:
    """Gives what the step is to report with: its lines bear its name before them, as an error in it does."""
    try:
        yield lambda line: report(f"{name}: {line}")
    except HpcbrewError as error:
        error.args = (f"{name}: {str(error).removeprefix(f'{name}: ')}", *error.args[1:])
        raise


def _login(cluster: Cluster, person: Person, report: Report) -> Transport:
    """Where it takes a person and nobody is asked, the error says how to go on."""
    try:
        return _enter(cluster, person, report)
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


def _enter(cluster: Cluster, person: Person, report: Report) -> Transport:
    if cluster.transport == "local":
        report("this machine: nothing to do")
        return connect(cluster.address)
    from hpcbrew.setup.login import login, login_by_client  # noqa: PLC0415 - paramiko is slow to import
    from hpcbrew.transports.openssh import OpenSsh  # noqa: PLC0415
    from hpcbrew.transports.paramiko_ssh import resolve  # noqa: PLC0415

    assert cluster.host is not None, cluster.name  # the profile was checked
    if cluster.transport == "openssh":
        session = OpenSsh(cluster.host, attended=person.asks)
        return login_by_client(cluster.host, resolve, session, cluster.key, report, ask=person.asks)
    return login(cluster.host, resolve, person.prompter, cluster.key, report, ask=person.asks)
