"""ScriptContext → job script: Jinja2, with every value named and every word quoted."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from engine import shipped
from engine.job_contract import ExitCode, Variable
from hpcbrew import layout, paths
from hpcbrew.clusters.profiles import Module
from hpcbrew.errors import ProfileError
from hpcbrew.job import After


@dataclass(frozen=True)
class Training:
    """How the engine is called, or the site's own Caffe.

    `command`: the engine's; `arguments`: to either. `start`: where a chain's first link begins; a job that is no chain
    has that among its arguments. `snapshot`: the solver state among them. `seconds`: how long it may take, from the
    script's beginning. `python`: the engine's own. `checked`: the engine is one that `hpcbrew setup` put there, and the
    script looks whether it is; `cache` is where that keeps what it compiled, from the job's folder.
    `site_module`: the module of the site's Caffe, where that is to train.
    """

    command: tuple[str, ...]
    arguments: tuple[str, ...]
    start: tuple[str, ...]
    snapshot: str | None
    max_iter: int
    seconds: int
    python: str
    checked: bool
    cache: str
    site_module: str | None


@dataclass(frozen=True)
class Chain:
    """Jobs that follow each other. `at_most`: so many of them; None is as many as it takes."""

    at_most: int | None


@dataclass(frozen=True)
class PbsCommands:
    """What the script itself calls. `launcher`: as in a cluster's profile."""

    qsub: tuple[str, ...]
    qdel: tuple[str, ...]
    launcher: str


@dataclass(frozen=True)
class ScriptContext:
    """All that a template may name, a site's own too. The job's shell gets `module_use`, `modules` and `environment`.

    `points`: it is a sweep, and each job of the array has a folder of its own. `gpus`: of each node. `chain`, `after`:
    None where it is none; `after` is a job of several jobs. `files`, `exit_codes` and `variables` are as hpcbrew and
    the engine call them.
    """

    name: str
    token: str
    cluster: str
    directives: Sequence[str]
    modules: Sequence[Module]
    environment: Mapping[str, str]
    points: bool
    nodes: int
    gpus: int
    training: Training
    pbs: PbsCommands
    chain: Chain | None = None
    after: After | None = None
    umask: str | None = None
    module_use: Sequence[str] = ()
    local_disk: str | None = None
    files: ModuleType = layout
    exit_codes: type[ExitCode] = ExitCode
    variables: type[Variable] = Variable


def render(template: str, context: ScriptContext) -> str:
    """The script that `template` gives. A template in the user's `templates/pbs` folder wins over a shipped one, and
    may extend it: `{% extends "shipped/job.pbs.j2" %}`. Raises ProfileError naming the template and its fault.
    """
    ours = shipped.folder("templates") / "pbs"
    own = FileSystemLoader(paths.config_home() / "templates" / "pbs")
    environment = Environment(
        loader=ChoiceLoader([own, FileSystemLoader(ours), _Prefixed(ours)]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is a shell script: values go through the `quote` filter
    )
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    environment.filters["launch"] = _launch
    environment.filters["value_or"] = _value_or
    try:
        return environment.get_template(template).render(vars(context))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"{getattr(error, 'filename', None) or template}{f':{line}' if line else ''}"
        raise ProfileError(f"{where}: {type(error).__name__}: {error.message}") from None


def _value_or(variable: str, default: object = "") -> str:
    """The value of a variable of the shell's, or else `default`."""
    return f"${{{variable}:-{default}}}"


def _launch(launcher: str) -> str:
    """A profile's launcher for the shell: `{index}` and `{host}` in it become variables of the script's."""
    words = [re.split(r"\{(index|host)\}", word) for word in shlex.split(launcher)]
    return " ".join("".join(f'"${p}"' if n % 2 else p and shlex.quote(p) for n, p in enumerate(word)) for word in words)


class _Prefixed(FileSystemLoader):
    """The shipped templates as `shipped/NAME`, for a template of the user's that has the name of the one it extends."""

    def get_source(self, environment: Environment, template: str) -> Any:
        return super().get_source(environment, template.removeprefix("shipped/"))
