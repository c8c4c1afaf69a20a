"""Plan → job script: Jinja2, with every value named and every word quoted."""

import re
import shlex
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from hpcbrew import paths
from hpcbrew.errors import ProfileError


def render(template: str, **values: Any) -> str:
    """The script that `template` gives. A template in the user's `templates/pbs` folder wins over a shipped one, and
    may extend it: `{% extends "shipped/job.pbs.j2" %}`. Raises ProfileError naming the template and its fault.
    """
    shipped = FileSystemLoader(paths.shipped("templates") / "pbs")
    own = FileSystemLoader(paths.config_home() / "templates" / "pbs")
    environment = Environment(
        loader=ChoiceLoader([own, shipped, _Prefixed(paths.shipped("templates") / "pbs")]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is a shell script: values go through the `quote` filter
    )
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    environment.filters["launch"] = _launch
    try:
        return environment.get_template(template).render(**values)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"{getattr(error, 'filename', None) or template}{f':{line}' if line else ''}"
        raise ProfileError(f"{where}: {type(error).__name__}: {error.message}") from None


def _launch(launcher: str) -> str:
    """A profile's launcher for the shell: `{index}` and `{host}` in it become variables of the script's."""
    words = [re.split(r"\{(index|host)\}", word) for word in shlex.split(launcher)]
    return " ".join("".join(f'"${p}"' if n % 2 else p and shlex.quote(p) for n, p in enumerate(word)) for word in words)


class _Prefixed(FileSystemLoader):
    """The shipped templates as `shipped/NAME`, for a template of the user's that has the name of the one it extends."""

    def get_source(self, environment: Environment, template: str) -> Any:
        return super().get_source(environment, template.removeprefix("shipped/"))
