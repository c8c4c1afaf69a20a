"""Cluster: a site's profile, read from YAML and checked. Some ship in `configs/clusters`; the user's take
precedence."""

import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine.host import regular_file
from engine.suggest import did_you_mean
from hpcbrew import units
from hpcbrew.address import Address
from hpcbrew.clusters import plain_yaml
from hpcbrew.clusters.profile_files import available, folders
from hpcbrew.errors import ProfileError
from hpcbrew.job import WORD, WORDS

LOGIN = re.compile(r"//[^/]*@")
"""The part of a URL that may contain a password."""


def _one_line(text: str) -> str:
    """Refuses line breaks: directives are lines of a script, where a line break would start another command."""
    if any(not c.isprintable() for c in text):
        raise ValueError("must be one line of printable characters")
    return text


def _without_password(url: str) -> str:
    """Refuses passwords: a profile is shown, copied and passed on."""
    if LOGIN.search(url):
        raise ValueError("must not contain a login; write it like http://proxy.example.org:3128")
    return url


def _matching(pattern: str, words: str) -> AfterValidator:
    """Validates by a pattern; the error message says in words what is allowed."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


Text = Annotated[str, AfterValidator(_one_line)]
Host = Annotated[
    str,
    _matching(
        r"(ssh://)?[\w.\[][\w.:@%\[\]+-]*", "what ssh accepts, in one word: an alias, HOST, USER@HOST or USER@HOST:PORT"
    ),
]
Word = Annotated[str, _matching(WORD.pattern, WORDS)]
Variable = Annotated[str, _matching(r"[A-Za-z_]\w*", "the name of a variable: letters, digits and _, no digit first")]
# A path that a shell may expand inside double quotes, and nothing that could do more.
Scratch = Annotated[
    str,
    _matching(
        r"(~|/|\$\w+)(/|[\w.+-]|\$\w+)*",
        "a path that starts with ~, / or $VARIABLE, of letters, digits and . _ + - and $VARIABLES",
    ),
]
Launcher = Annotated[
    Text,
    _matching(
        r".*\{(index|host)\}.*",
        "a command with {index} or {host} in it, which starts another command on that node of the job, "
        "such as pbsdsh -n {index} -- or ssh {host}",
    ),
]
# Excludes options that hpcbrew gives itself, or that would make the job something else.
Directive = Annotated[
    Text,
    _matching(
        r"-[AWacdhklmMnpPuvw]( ?\S.*)?",
        "an option of qsub with its value, such as -l wd or -W x=PARTITION:big, except those that hpcbrew gives itself "
        "or cannot work with: -C -I -J -N -S -V -X -e -j -o -q -r -t -z",
    ),
]
Umask = Annotated[str, _matching(r"0?[0-7]{3}", 'three octal digits in quotes, such as "027"')]
Seconds = Annotated[int, BeforeValidator(units.seconds)]
Bytes = Annotated[int, BeforeValidator(lambda value: units.asked_size(str(value)))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Flags = Annotated[
    tuple[Literal["-P", "-A", "-W group_list="], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]


class Account(_Part):
    """How a job names the project to charge: the directive or directives, whether one is required, and a default."""

    flag: Flags = ("-P",)
    required: bool = False
    default: Word | None = None


class Resources(_Part):
    """How the site wants resources written, and what a chunk gets by default.

    `style`: `select` (PBS Pro, OpenPBS), `top` (Gadi: totals at the top level, no select) or `nodes` (Torque).
    `chunk`: what one chunk of `select` stands for. `extra`: further `-l NAME=VALUE` that the site requires. `cpus_as`,
    `gpus_as`: the resources by which the site counts cores and GPUs, such as `naccelerators`; `none` if a job must not
    name them, for example because jobs get whole nodes, or because a node attribute or a queue implies the GPU.
    `gpus_apart`: GPUs are requested on a line of their own, `-l gpus=1`, beside `nodes=1:ppn=4`.
    """

    style: Literal["select", "top", "nodes"] = "select"
    chunk: Literal["node", "gpu"] = "node"
    cpus: Annotated[int, Field(ge=1)] | Literal["detect"] = 1
    cpus_per_gpu: Annotated[int, Field(ge=1)] | None = None
    mem: Bytes | None = None
    mem_per_gpu: Bytes | None = None
    place: Word | None = None
    select: dict[Word, Word] = {}
    cpu_select: dict[Word, Word] = {}
    extra: dict[Word, Word] = {}
    cpus_as: Word | None = None
    gpus_as: Word | None = None
    gpus_apart: bool = False

    @property
    def counts(self) -> tuple[str, str]:
        """The resources by which cores and GPUs are counted; empty if they are not."""
        cpus, gpus = ("ppn", "gpus") if self.style == "nodes" else ("ncpus", "ngpus")
        names = (self.cpus_as or cpus, self.gpus_as or gpus)
        return ("" if names[0] == "none" else names[0], "" if names[1] == "none" else names[1])


class GpuType(_Part):
    """A GPU type: what `select` needs to get it; its memory, for warnings about nets that are too large; and its
    compute capability, for warnings about GPUs that are too old. `cpus_per_gpu`, `mem_per_gpu`: override those of
    `resources`."""

    select: dict[Word, Word] = {}
    queue: Word | None = None
    cpus_per_gpu: Annotated[int, Field(ge=1)] | None = None
    mem_per_gpu: Bytes | None = None
    memory: Bytes | None = None
    compute: Annotated[float, Field(ge=1, le=100)] | None = None
    description: Text = ""


class Queue(_Part):
    """What a queue allows; None means no known limit."""

    walltime: Seconds | None = None
    min_nodes: Annotated[int, Field(ge=1)] = 1
    max_nodes: Annotated[int, Field(ge=1)] | None = None
    max_gpus: Annotated[int, Field(ge=0)] | None = None
    gpus: bool = True
    description: Text = ""


class Module(_Part):
    """An environment module to load, and a command that must then be found, since `module load` may fail silently."""

    load: Word
    check: Word | None = None


class Cluster(_Part):
    """A site's profile.

    `access`: from where the host can be reached, for the message if it does not answer: `from the campus network or its
    VPN`. `proxy`, `key` (the SSH key type), `python` (a command) and `python_module` (loaded first) are for `setup`.
    `launcher` starts a job's engine on its further nodes: `{index}` is the node's index in the node file, `{host}` its
    name. `cpus_per_node`, `mem_per_node`: those of the largest node, so that no job requests more. `umask`: for the
    files of a job, such as "027" to let the group read them; by default PBS's. `local_disk`: the path of a node's own
    disk, such as `$TMPDIR`: databases are copied there and read from there. `module_use`: folders of module files
    beyond those that a login shell knows. `directives`: further lines of the script, without `#PBS`. `gpu_type`: the
    default GPU type.
    """

    name: Word
    description: Text = ""
    transport: Literal["local", "ssh", "openssh"] = "ssh"
    host: Host | None = None
    access: Text = ""
    scheduler: Literal["pbs", "local"] = "pbs"
    scratch: Scratch | None = None
    account: Account = Account()
    resources: Resources = Resources()
    max_nodes: Annotated[int, Field(ge=1)] | None = None
    gpus_per_node: Annotated[int, Field(ge=0)] | Literal["detect"] = 0
    cpus_per_node: Annotated[int, Field(ge=1)] | None = None
    mem_per_node: Bytes | None = None
    gpu_types: dict[Word, GpuType] = {}
    gpu_type: Word | None = None
    queues: dict[Word, Queue] = {}
    queue: Word | None = None
    server: Word | None = None
    walltime: Seconds = 24 * 3600
    name_length: Annotated[int, Field(ge=8)] = 230
    directives: tuple[Directive, ...] = ()
    module_use: tuple[Scratch, ...] = ()
    modules: tuple[Module, ...] = ()
    caffe_module: Module | None = None
    environment: dict[Variable, Text] = {}
    umask: Umask | None = None
    local_disk: Scratch | None = None
    proxy: Annotated[Text, AfterValidator(_without_password)] | None = None
    key: Literal["ed25519", "rsa"] = "ed25519"
    python: Word | None = None
    python_module: Word | None = None
    launcher: Launcher = "pbsdsh -n {index} --"
    template: Word = "job.pbs.j2"
    slots: Annotated[int, Field(ge=1)] = 1

    @property
    def address(self) -> Address:
        """The part of this profile that is stored with a job."""
        torque = self.resources.style == "nodes"
        return Address(self.name, self.transport, self.scheduler, self.host, torque, self.slots)

    def default_walltime(self, queue: Queue) -> int:
        """The seconds that a job in that queue requests if nothing else is said: no more than the queue allows."""
        return min(self.walltime, queue.walltime or self.walltime)

    @model_validator(mode="after")
    def _fits_together(self) -> "Cluster":
        if self.transport != "local" and not self.host:
            raise ValueError("host: missing; a cluster reached over ssh must have one")
        if self.transport != "local" and not self.scratch:
            raise ValueError("scratch: missing; name the folder for jobs and data, such as ~/scratch or $SCRATCH")
        if self.queue is not None and self.queues and self.queue not in self.queues:
            raise ValueError(f"queue: {self.queue!r} is not among queues ({', '.join(self.queues)})")
        if self.gpu_type is not None and self.gpu_type not in self.gpu_types:
            raise ValueError(f"gpu_type: {self.gpu_type!r} is not among gpu_types ({', '.join(self.gpu_types)})")
        return self


def load(name: str) -> Cluster:
    """Loads the profile of that name. Raises ProfileError if there is none, or if it is wrong."""
    path = _find(name)
    return check(_read(path), name, path)


def check(values: Mapping[str, Any], name: str, path: Path) -> Cluster:
    """Returns the profile with these values, which are, or will become, those of `path`. Raises ProfileError."""
    try:
        return Cluster.model_validate({**resolve(values, path, name), "name": name})
    except ValidationError as error:
        raise ProfileError(_explain(path, error)) from None


def values(name: str) -> dict[str, Any]:
    """Returns the keys and values of a profile as written, merged over those of the profile that it extends."""
    path = _find(name)
    return resolve(_read(path), path, name)


def _find(name: str, *, not_in: Path | None = None) -> Path:
    profiles = available() if not_in is None else {p.stem: p for p in folders()[1].glob("*.yaml")}
    if name in profiles:
        return profiles[name]
    raise ProfileError(
        f"no cluster {name!r}.{did_you_mean(name, profiles, repr)} There are: {', '.join(profiles) or 'none'}. "
        f"Your own profiles belong in {folders()[0]}: one NAME.yaml each"
    )


def resolve(own_values: Mapping[str, Any], path: Path, name: str, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Merges a profile's own values over those of the one that it extends, which may be the shipped one of the same
    name.

    Raises ProfileError for a profile that does not exist, and for profiles that extend each other.
    """
    if path in seen:
        raise ProfileError(f"{path}: extends: is circular: {' → '.join(p.stem for p in (*seen, path))}")
    values = dict(own_values)
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        names = ", ".join(available())
        raise ProfileError(f"{path}: extends: {SHORT.repr(base)} is not a valid name of a cluster. There are: {names}")
    try:
        parent = _find(base, not_in=path if base == name else None)
    except ProfileError as error:
        raise ProfileError(f"{path}: extends: {error}") from None
    return _merge(resolve(_read(parent), parent, base, (*seen, path)), values)


LARGEST = 2**18
"""The most bytes of a profile; the largest that ships has some 1,200."""


def _read(path: Path) -> dict[str, Any]:
    try:
        values = plain_yaml.load(regular_file.read(path, LARGEST).decode())
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except plain_yaml.NotPlain as error:
        raise ProfileError(error.of(path)) from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: not YAML: {error}") from None
    if not isinstance(values, dict):
        kind = "empty" if values is None else type(values).__name__
        raise ProfileError(f"{path}: a profile must be a list of `key: value`, but this is {kind}")
    if "name" in values:
        raise ProfileError(f"{path}: name: a cluster has the name of its file, {path.stem!r}; remove this line")
    return values


def _merge(base: dict[str, Any], own_values: dict[str, Any]) -> dict[str, Any]:
    """Merges own values over the base's, mapping by mapping; null removes a key from a mapping of the base."""
    merged = dict(base)
    for key, value in own_values.items():
        base_value = base.get(key)
        if isinstance(base_value, dict) and isinstance(value, dict):
            merged[key] = _merge(base_value, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _explain(path: Path, error: ValidationError) -> str:
    """Returns one line per fault: file, key, value, and the choices if there are any."""
    faults: dict[str, list[str]] = {}
    for fault in error.errors():
        value, message = _fault(dict(fault))
        faults.setdefault(value, []).append(message)
    return "\n".join(f"{path}: {value}{', or '.join(messages)}" for value, messages in faults.items())


# pydantic's errors for values of the wrong type, in terms of YAML.
KINDS = {
    "model_type": "must be a list of `key: value`",
    "dict_type": "must be a list of `key: value`",
    "tuple_type": "must be a list, with a - before each entry",
    "string_type": "must be text: put it in quotes",
}
# With YAML's references, a value of a few lines may be endless when written out.
SHORT = reprlib.Repr()
SHORT.maxlevel = 2
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 200
# pydantic's names for the alternatives of a value, which it puts among the keys that lead to it.
ALTERNATIVE = re.compile(r"\[key\]|constrained-int|literal\[.*\]")


def _fault(fault: dict[str, Any]) -> tuple[str, str]:
    """Returns the key with its value, and what is wrong with it; faults of alternatives share the former."""
    location = [str(part) for part in fault["loc"] if not ALTERNATIVE.fullmatch(str(part))]
    key = ".".join(location)
    if fault["type"] == "extra_forbidden":
        keys = _keys_at(location[:-1])
        return f"{key}: ", f"no such key.{did_you_mean(location[-1], keys, repr)} There are: {', '.join(keys)}"
    if fault["type"] == "missing":
        return f"{key}: ", "missing"
    message = KINDS.get(fault["type"], fault["msg"])
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    value = LOGIN.sub("//…@", SHORT.repr(fault["input"]))
    return (f"{key}: {value}: " if location else ""), message


def _keys_at(location: list[str]) -> list[str]:
    """Returns the keys of the part of a profile that `location` leads to."""
    model: type[BaseModel] = Cluster
    inner: dict[str, type[BaseModel]] = {
        "account": Account,
        "resources": Resources,
        "gpu_types": GpuType,
        "queues": Queue,
        "modules": Module,
        "caffe_module": Module,
    }
    if location:
        model = inner[location[0]]
    keys = list(model.model_fields)
    return keys if location else ["extends", *(k for k in keys if k != "name")]
