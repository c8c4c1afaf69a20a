"""Runs the first three steps of a setup; the trial job (`trial_job`) is the fourth."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import HostUnknown, HpcbrewError, LoginRefused, TransportError
from hpcbrew.file_lock import busy, exclusive
from hpcbrew.setup import engine_variant, install_engine, scratch
from hpcbrew.setup.install_engine import InstallOptions, Moving
from hpcbrew.setup.report import Report
from hpcbrew.transports.base import Transport
from hpcbrew.transports.connect import connect
from hpcbrew.transports.prompt import Prompter


@dataclass(frozen=True)
class Person:
    """The user at the terminal. `asks`: whether to ask anything at all; `prompter`: answers what the login needs."""

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
    """Reports what each step did, and returns the transport to the cluster.

    `gpus`: whether to install the engine for GPUs; None to find out. `offline`: see `InstallOptions`. Raises
    HpcbrewError, which names the step; the steps before it are done, and will be found done when setup is repeated.
    """
    with _step("login", report) as step_report:
        transport = _login(cluster, person, step_report)
    if cluster.scheduler == "local":
        report("engine: jobs on this machine run in the same Python as hpcbrew: nothing to install")
        return transport
    with _step("scratch", report) as step_report:
        root = scratch.prepare(transport, cluster.scratch or "", person.confirm, step_report)
    # A concurrent setup that was first would remove the wheels when it is done.
    work = f"setup-{cluster.name}"
    if busy(work):
        report(f"engine: another setup of {cluster.name} is running on this machine: waiting for it to end")
    with exclusive(work), _step("engine", report) as step_report:
        extra = engine_variant.choose(transport, cluster, gpus, step_report)
        install_engine.install(transport, cluster, root, InstallOptions(extra, offline), moving, step_report)
    return transport


@contextmanager
def _step(name: str, report: Report) -> Iterator[Report]:
    """Yields the step's report function, which prefixes lines with the step's name; errors get the same prefix."""
    try:
        yield lambda line: report(f"{name}: {line}")
    except HpcbrewError as error:
        error.args = (f"{name}: {str(error).removeprefix(f'{name}: ')}", *error.args[1:])
        raise


def _login(cluster: Cluster, person: Person, report: Report) -> Transport:
    """Logs in. If that needs a person but nobody may be asked, the error says how to proceed."""
    try:
        return _enter(cluster, person, report)
    except HostUnknown as error:
        if person.asks:
            raise
        raise TransportError(
            f"{error.fault}. Compare it with the one that the site publishes; if they are the same: "
            f"hpcbrew setup {cluster.name} --yes --fingerprint {error.fingerprint}"
        ) from None
    except LoginRefused as error:
        if person.asks:
            raise
        raise TransportError(
            f"{error.fault}. No password or code was asked for. Once, on a terminal and without --yes, run "
            f"hpcbrew setup {cluster.name}. It asks for them, and installs a key if the site accepts keys"
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
