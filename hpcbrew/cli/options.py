"""Arguments and options that several commands share, and their completion."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from hpcbrew import units
from hpcbrew.clusters import profile_files
from hpcbrew.track.ledger import Ledger

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_job(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the names and ids of the jobs in the ledger, newest first."""
    words = [word for r in reversed(Ledger().all()) for word in (r.name, r.id) if word]
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


def complete_cluster(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the names of the clusters that have a profile."""
    return [name for name in profile_files.available() if name.startswith(incomplete)]


def job_argument() -> Callable[[Command], Command]:
    """The argument JOB: an id, a name or a token."""
    return click.argument("job", shell_complete=complete_job)


def _default_cluster(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from hpcbrew.clusters import user_settings  # noqa: PLC0415 - its only use

    return value if value is not None or ctx.resilient_parsing else user_settings.default_cluster()


def past_time(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Converts an age (`30d`, `12h`) or a date in local time (`2026-03-31`, `2026-03-31T12:00`) to Unix seconds."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        pass
    try:
        return time.time() - (0 if re.fullmatch("0[dhms]", value) else units.asked_time(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither an age like 30d or 12h nor a date like 2026-03-31") from None


cluster_option = click.option(
    "--cluster",
    callback=_default_cluster,
    shell_complete=complete_cluster,
    help="The cluster; hpcbrew cluster list shows all. Default: the one set by hpcbrew config set cluster NAME.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
