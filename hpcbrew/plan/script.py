"""ScriptContext → job script, by Jinja2; every value has a name, and every word is quoted."""

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
    """How to call the engine, or the site's own Caffe.

    `command`: the engine's. `arguments`: for either. `start`: the arguments with which a chain's first link starts; for
    a job that is not a chain they are part of `arguments`. `snapshot`: the solver state among them. `seconds`: the time
    allowed, counted from the start of the script. `python`: the engine's Python. `checked`: the engine is one that
    `hpcbrew setup` installed, and the script checks that it is there; `cache` is its compilation cache, relative to the
    job's folder. `site_module`: the module of the site's Caffe, if that is to train.
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
    """Jobs that follow each other. `at_most`: the most jobs; None means as many as it takes."""

    at_most: int | None


@dataclass(frozen=True)
class PbsCommands:
    """The commands that the script itself calls. `launcher`: as in a cluster's profile."""

    qsub: tuple[str, ...]
    qdel: tuple[str, ...]
    launcher: str


@dataclass(frozen=True)
class ScriptContext:
    """Everything that a template, including a user's own, may refer to. `module_use`, `modules` and `environment` are
    for the job's shell.

    `points`: whether it is a sweep, in which each job of the array has its own folder. `gpus`: per node. `chain`: None
    if it is not a chain. `after`: a chain or other series of jobs to wait for, or None. `files`, `exit_codes` and
    `variables`: the names and codes that hpcbrew and the engine share.
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
    """Returns the script rendered from `template`. A template in the user's `templates/pbs` folder takes precedence
    over the shipped one of the same name, and may extend it: `{% extends "shipped/job.pbs.j2" %}`. Raises ProfileError
    naming the template and its fault.
    """
    shipped_templates = shipped.folder("templates") / "pbs"
    own_templates = FileSystemLoader(paths.config_home() / "templates" / "pbs")
    environment = Environment(
        loader=ChoiceLoader([own_templates, FileSystemLoader(shipped_templates), _Prefixed(shipped_templates)]),
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
        location = f"{getattr(error, 'filename', None) or template}{f':{line}' if line else ''}"
        raise ProfileError(f"{location}: {type(error).__name__}: {error.message}") from None


def _value_or(variable: str, default: object = "") -> str:
    """Returns the shell's expansion for the value of a variable, or `default` if it is unset or empty."""
    return f"${{{variable}:-{default}}}"


def _launch(launcher: str) -> str:
    """Quotes a profile's launcher for the shell: `{index}` and `{host}` in it become variables of the script."""
    words = [re.split(r"\{(index|host)\}", word) for word in shlex.split(launcher)]
    return " ".join("".join(f'"${p}"' if n % 2 else p and shlex.quote(p) for n, p in enumerate(word)) for word in words)


class _Prefixed(FileSystemLoader):
    """The shipped templates as `shipped/NAME`, so that a user's template can extend the one whose name it has."""

    def get_source(self, environment: Environment, template: str) -> Any:
        return super().get_source(environment, template.removeprefix("shipped/"))
