"""The output of qstat -Q and qstat -B."""

from typing import Any

from support.openpbs import schedule, show
from support.openpbs.errors import UNKNOWN_QUEUE, Refused
from support.openpbs.store import State

STATES = {"Transit": "T", "Queued": "Q", "Held": "H", "Waiting": "W", "Running": "R", "Exiting": "E", "Begun": "B"}
Shown = dict[str, dict[str, Any]]


def queues(state: State, names: list[str]) -> tuple[Shown, list[Refused]]:
    known = state.config.queues
    refused = [Refused(UNKNOWN_QUEUE, f"qstat: Unknown queue {name}") for name in names if name not in known]
    chosen = [name for name in names or known if name in known]
    return {name: _queue(state, name, known[name]) for name in chosen}, refused


def servers(state: State) -> tuple[Shown, list[Refused]]:
    config = state.config
    used, running = schedule.taken(state), _running(state.jobs.values())
    assigned = {f"resources_assigned.{n}": used[n] for n in ("ncpus", "ngpus") if used[n] or n == "ncpus"}
    return {
        config.server: {
            "server_state": "Active",
            "server_host": config.server,
            "scheduling": "True",
            "total_jobs": sum("array" not in job.own for job in state.jobs.values()),
            "state_count": _count(state.jobs.values()),
            "default_queue": next(iter(config.queues)),
            "log_events": 511,
            "mailer": "/usr/sbin/sendmail",
            "mail_from": "adm",
            "query_other_jobs": "True",
            "resources_default.ncpus": 1,
            "default_chunk.ncpus": 1,
            **assigned,
            "resources_assigned.nodect": running,
            "scheduler_iteration": 60,
            "resv_enable": "True",
            "node_fail_requeue": 310,
            "max_array_size": 10000,
            "resend_term_delay": 5,
            "pbs_license_min": 0,
            "pbs_license_max": 2147483647,
            "pbs_license_linger_time": 31536000,
            "license_count": "Avail_Global:1000000 Avail_Local:1000000 Used:0 High_Use:0",
            "pbs_version": show.VERSION,
            "eligible_time_enable": "False",
            **({"job_history_enable": "True", "job_history_duration": "336:00:00"} if config.history else {}),
            "max_concurrent_provision": 5,
            "clear_topjob_estimates_enable": "False",
            "max_job_sequence_id": 9999999,
        }
    }, []


def _queue(state: State, name: str, known: dict[str, Any]) -> dict[str, Any]:
    jobs = [job for job in state.jobs.values() if job.attributes["queue"] == name and not job.final]
    running = _running(jobs)
    cores = sum(chunk["ncpus"] for job in jobs if job.state in ("R", "E") for chunk in job.own["chunks"])
    used = any("stime" in job.attributes for job in state.jobs.values() if job.attributes["queue"] == name)
    closing = ("enabled", "started")
    return {
        "queue_type": "Execution",
        **({"Priority": known["Priority"]} if "Priority" in known else {}),
        "total_jobs": sum("array" not in job.own for job in jobs),
        "state_count": _count(jobs),
        **{k: v for k, v in known.items() if k not in (*closing, "Priority")},
        **({"resources_assigned.ncpus": cores, "resources_assigned.nodect": running} if used else {}),
        **{k: known.get(k, "True") for k in closing},
    }


def _running(jobs: Any) -> int:
    return sum(job.state in ("R", "E") for job in jobs)


def _count(jobs: Any) -> str:
    letters = [job.state for job in jobs if "array" not in job.own]
    return "".join(f"{name}:{letters.count(letter)} " for name, letter in STATES.items())


def queue_table(shown: Shown) -> str:
    head = "Queue              Max   Tot Ena Str   Que   Run   Hld   Wat   Trn   Ext Type"
    rows = [head, f"{'-' * 16} ----- ----- --- --- ----- ----- ----- ----- ----- ----- ----"]
    for name, queue in shown.items():
        counts = " ".join(f"{n:>5}" for n in _counts(queue))
        yes = " ".join(f"{'yes' if queue[k] == 'True' else 'no':>3}" for k in ("enabled", "started"))
        rows.append(f"{name:16} {0:>5} {queue['total_jobs']:>5} {yes} {counts} Exe*")
    return "\n".join(rows) + "\n"


def server_table(shown: Shown) -> str:
    head = "Server             Max   Tot   Que   Run   Hld   Wat   Trn   Ext Status"
    rows = [head, f"{'-' * 16} ----- ----- ----- ----- ----- ----- ----- ----- -----------"]
    for name, server in shown.items():
        counts = " ".join(f"{n:>5}" for n in _counts(server))
        rows.append(f"{name:16} {0:>5} {server['total_jobs']:>5} {counts} {server['server_state']:10}")
    return "\n".join(rows) + "\n"


def _counts(entry: dict[str, Any]) -> list[str]:
    by_name = dict(part.split(":") for part in entry["state_count"].split())
    return [by_name[name] for name in ("Queued", "Running", "Held", "Waiting", "Transit", "Exiting")]
