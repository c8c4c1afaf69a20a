"""What `submit`, `resume` and `sweep` do: turn options into a request, that into a plan, and send it to the cluster."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.host import login_node
from hpcbrew import units
from hpcbrew.cli import preview
from hpcbrew.cli.output import say, say_json, tell, warn
from hpcbrew.cli.training_view import next_steps, training
from hpcbrew.cli.transfer_bar import moving
from hpcbrew.clusters import profiles, user_settings
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import ProfileError, RequestError
from hpcbrew.job import After, JobPlan, JobRecord, JobRequest, new_token
from hpcbrew.plan import hardware, overrides
from hpcbrew.plan import sweep as sweeping
from hpcbrew.plan.build import plan_job
from hpcbrew.submit import dependency
from hpcbrew.submit import resume as resuming
from hpcbrew.submit.interrupts import Interrupted, put_off
from hpcbrew.submit.submit import as_written_down
from hpcbrew.submit.submit import submit as carry_out
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger

ADDRESS = re.compile(r"[\w.+%-]+(@[\w.-]+)?(,[\w.+%-]+(@[\w.-]+)?)*")


@dataclass(frozen=True)
class Ways:
    """How to send a plan: only show it (maybe in full), or submit it and maybe follow the job; and whether to print
    JSON."""

    dry_run: bool
    full: bool
    follow: bool
    as_json: bool


def submit(solver: Path, cluster: str, options: dict[str, Any], ways: Ways) -> None:
    """`hpcbrew submit`."""
    profile = profiles.load(cluster)
    job_request = request(solver, profile, options, ask=not ways.dry_run)
    send(plan_job(job_request, profile, hardware.here(), new_token()), str(solver.absolute()), ways)


def sweep(solver: Path, axes: tuple[str, ...], cluster: str, options: dict[str, Any], ways: Ways) -> None:
    """`hpcbrew sweep`."""
    points = sweeping.points(axes)
    profile = profiles.load(cluster)
    job_request = request(solver, profile, options, ask=not ways.dry_run)
    send(sweeping.plan(job_request, profile, points, hardware.here(), new_token()), str(solver.absolute()), ways)


def resume(job: str, options: dict[str, Any], ways: Ways) -> None:
    """`hpcbrew resume`."""
    ledger = Ledger()
    record = ledger.find(job)
    site = refresh.reach(record.address)
    status = refresh.look(site, [record], ledger)[0].record.status
    if not status.state.final:
        raise RequestError(f"{record.name} ({record.id}) is {status.state}: only an ended job can be resumed")
    profile = profiles.load(record.cluster)
    job_request = request(Path(record.solver), profile, options)
    previous = resuming.read(record, site.transport)
    send(resuming.plan(previous, job_request, profile, hardware.here(), new_token()), record.solver, ways)


def request(solver: Path, profile: Cluster, options: dict[str, Any], *, ask: bool = True) -> JobRequest:
    """Builds the request from the options of `submission`, with the user's settings for options that were not given.
    `ask`: whether the cluster may be asked; a dry run must not.

    Raises RequestError, and ProfileError for settings that cannot be used.
    """
    if "nodes" in options:  # a resumed job takes all this from the one before
        options.update(_settings(profile, options))
    chain, until_done = options.pop("chain", None), options.pop("until_done", False)
    if chain and until_done:
        raise RequestError("--chain and --until-done: give one of them")
    mail, after = options.pop("mail"), options.pop("after")
    if mail and (profile.scheduler == "local" or not ADDRESS.fullmatch(mail)):
        local = profile.scheduler == "local"
        reason = "the queue on this machine sends no mail" if local else "is not a valid mail address"
        raise RequestError(f"--mail {mail}: {reason}")
    waits_for, unknown = _dependency(after, profile, ask=ask) if after else (None, "")
    gpu, gpus = options.pop("gpu", False), options.pop("gpus_per_node", None)
    return JobRequest(
        solver=solver,
        gpus_per_node=gpus or (1 if gpu or options.get("gpu_type") else 0),
        overrides=tuple(overrides.split(a) for a in options.pop("assignments", ())),
        links=None if until_done else chain or 1,
        mail=mail,
        after=waits_for,
        names_in_use=Ledger().names(),
        unknown=(unknown,) if unknown else (),
        **options,
    )


def _settings(profile: Cluster, options: dict[str, Any]) -> dict[str, Any]:
    """Returns the user's settings for the cluster, for the options that were not given."""
    settings: dict[str, Any] = {}
    for key, value in user_settings.of_cluster(profile.name).items():
        option = key.replace("-", "_")
        if options[option] is not None or (key == "gpu-type" and not (options["gpu"] or options["gpus_per_node"])):
            continue
        try:
            settings[option] = user_settings.PARSERS.get(key, str)(value)
        except ValueError as error:
            raise ProfileError(f"{user_settings.path()}: {profile.name}: {key}: {error}") from None
    return settings


def _dependency(job: str, profile: Cluster, *, ask: bool) -> tuple[After | None, str]:
    if ask:
        return dependency.after(job, profile.address, Ledger()), ""
    return dependency.as_last_heard(job, profile.address, Ledger())


def send(plan: JobPlan, solver: str, ways: Ways) -> None:
    """Shows a plan, or carries it out and then follows the job or says what to do next."""
    if ways.dry_run:
        if ways.as_json:
            say_json(preview.as_json(plan), indent=2)
        else:
            say(preview.as_text(plan, full=ways.full))
        return
    if plan.missing:
        raise RequestError(plan.missing)
    if plan.address.scheduler == "local":
        login_node.refuse()
        if find_spec("jax") is None:
            raise RequestError(
                "jobs on this machine run in this Python, which has no JAX: pip install 'hpcbrew[engine]'"
            )
    for words in plan.warnings:
        warn(f"warning: {words}")
    for words in plan.unknown:
        warn(f"not known: {words}")
    with _explained_interrupts(plan.token):
        site, ledger = refresh.reach(plan.address), Ledger()
        with moving("sending", sum(upload.size for upload in plan.data)) as progress:
            record = carry_out(plan, solver, site.transport, site.scheduler, ledger, progress, warn)
        if ways.follow:
            raise SystemExit(_follower(record)(record, site, ledger, as_json=ways.as_json))
        if ways.as_json:
            say_json(record.as_json(), indent=2)
            return
        tell(f"{record.id}  {record.name}, queued on {record.cluster}")
        tell(f"{preview.resources(plan)}, walltime {units.clock(plan.resources.walltime)}")
        tell(f"Run folder: {record.run_folder}")
        tell(f"Next: {next_steps(record)}")


def _follower(record: JobRecord) -> Callable[..., int]:
    if not record.is_array:
        return training
    from hpcbrew.cli import sweep_view  # noqa: PLC0415 - it imports what compares and draws

    return sweep_view.training


@contextmanager
def _explained_interrupts(token: str) -> Iterator[None]:
    """On Ctrl-C, says what became of the job, from the ledger unless that has been said already."""
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        with put_off():
            warn(as_written_down(token, Ledger()))
        raise Interrupted from None
