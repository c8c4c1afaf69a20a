"""Checks a solver's settings and finds its nets. Reads files, runs nothing.

Imports no JAX: the submitter checks solvers through this module too.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import suggest
from engine.errors import PrototxtError, SnapshotError, SolverError
from engine.host import regular_file
from engine.proto import caffe_pb2 as pb
from engine.proto import paths, raw_bytes, text, tokens
from engine.solver import lr_policy

TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")

DECAYS: dict[str, tuple[str, ...]] = {
    "SGD": (),
    "Nesterov": (),
    "AdaGrad": (),
    "RMSProp": ("rms_decay",),
    "AdaDelta": ("momentum",),
    "Adam": ("momentum", "momentum2"),
}
"""The solver types, each with the fields that are decay rates of a running mean and must lie in [0, 1)."""


AP_VERSIONS = ("11point", "MaxIntegral", "Integral")
"""How the area under the precision-recall curve is measured: at 11 recalls, as in VOC 2007; with the largest precision
at that recall or a higher one, as in VOC 2012 and ILSVRC; or under the curve as it is."""


@dataclass(frozen=True)
class NetSpec:
    """A net to build: its upgraded definition, its state, the file for error messages, and its source for the log."""

    param: pb.NetParameter
    state: pb.NetState
    path: Path | None
    source: str


def read(path: str | Path) -> pb.SolverParameter:
    """The solver in a file, upgraded. If its snapshot_prefix is missing or a folder, the file's own name is added.

    Raises PrototxtError.
    """
    solver = text.read_solver(path)
    if not solver.snapshot_prefix:
        solver.snapshot_prefix = raw_bytes.kept(str(Path(path).with_suffix("")))
    elif regular_file.is_folder(paths.native(solver.snapshot_prefix)):
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / raw_bytes.kept(Path(path).stem))
    return solver


@contextmanager
def named(path: str | Path | None, p: pb.SolverParameter) -> Iterator[None]:
    """Prefixes errors about the settings `p` with the solver's file, and with the line of the field at fault if its
    value is from the file, not from elsewhere. A SnapshotError is about snapshot_prefix."""
    try:
        yield
    except (SolverError, SnapshotError) as e:
        field = e.field if isinstance(e, SolverError) else "snapshot_prefix"
        raise (type(e)(f"{path}{line_of(path, field, _values(p, field))}: {e}") if path else e) from e


def check(p: pb.SolverParameter) -> None:
    """Raises SolverError for settings that are missing, contradictory or out of range.

    Ignored: layer_wise_reduce, which is about how Caffe adds up the gradients of several GPUs; and eval_type, since a
    test net's DetectionEvaluate layer says the same.
    """
    lr_policy.check(p)
    net_fields = [name for name in TRAIN_NETS if p.HasField(name)]
    if len(net_fields) != 1:
        fault = f"it has {' and '.join(net_fields)}" if net_fields else "it has none"
        raise SolverError(
            f"a solver needs one train net, by {', '.join(TRAIN_NETS[:-1])} or {TRAIN_NETS[-1]}; {fault}."
        )
    for name in ("max_iter", "display", "test_interval", "snapshot"):
        if getattr(p, name) < 0:
            raise SolverError(f"{name} is {getattr(p, name)}; it may not be negative.", name)
    for name in ("average_loss", "iter_size"):
        if getattr(p, name) < 1:
            raise SolverError(f"{name} is {getattr(p, name)}; it must be at least 1.", name)
    if p.eval_type not in ("classification", "detection"):
        raise SolverError(f'unknown eval_type "{p.eval_type}"; there are classification and detection.', "eval_type")
    if p.ap_version not in AP_VERSIONS:
        raise SolverError(f'unknown ap_version "{p.ap_version}"; there are {", ".join(AP_VERSIONS)}.', "ap_version")
    _check_rule(p)
    _check_tests(p)


def _check_rule(p: pb.SolverParameter) -> None:
    """Checks the settings of the update rule and of weight decay."""
    if p.type not in DECAYS:
        suggestion = suggest.did_you_mean(p.type, DECAYS, ignore_case=True)
        raise SolverError(f'unknown solver type "{p.type}"; there are {", ".join(DECAYS)}.{suggestion}', "type")
    if p.type in ("AdaGrad", "RMSProp") and p.momentum:
        raise SolverError(f"{p.type} has no momentum, but momentum is {p.momentum:g}; remove it.", "momentum")
    for name in DECAYS[p.type]:
        if not 0 <= getattr(p, name) < 1:
            raise SolverError(f"{name} is {getattr(p, name):g}; for {p.type} it must lie in [0, 1).", name)
    if p.regularization_type not in ("L1", "L2"):
        raise SolverError(
            f'unknown regularization_type "{p.regularization_type}"; there are L1 and L2.', "regularization_type"
        )


def _check_tests(p: pb.SolverParameter) -> None:
    number = len(p.test_net) + len(p.test_net_param)
    generic = p.HasField("net") or p.HasField("net_param")
    if len(p.test_iter) < number or (len(p.test_iter) > number and not generic):
        raise SolverError(
            f"there are {number} test nets and {len(p.test_iter)} test_iter; give one test_iter for each"
            + (", and one more for each test of the train net." if generic else ".")
        )
    if len(p.test_state) not in (0, len(p.test_iter)):
        raise SolverError(
            f"{len(p.test_state)} test_state for {len(p.test_iter)} test nets; give one for each, or none."
        )
    if any(p.test_iter) and p.test_interval <= 0:
        raise SolverError(
            "test_iter without test_interval: say how many iterations lie between two tests.", "test_iter"
        )
    if any(n < 0 for n in p.test_iter):
        raise SolverError(f"test_iter is {min(p.test_iter)}; it may not be negative, and 0 means no test.", "test_iter")


def train_net(p: pb.SolverParameter, path: str | Path | None) -> NetSpec:
    """The net that is trained. Its state: phase TRAIN, then the net's own, then train_state. Raises PrototxtError."""
    if p.HasField("train_net_param"):
        spec = NetSpec(p.train_net_param, pb.NetState(), _path(path), "net specified in train_net_param.")
    elif p.HasField("train_net"):
        spec = _from_file("train_net", p.train_net, path, "net from train_net file: ")
    elif p.HasField("net_param"):
        spec = NetSpec(p.net_param, pb.NetState(), _path(path), "net specified in net_param.")
    else:
        spec = _from_file("net", p.net, path, "net from net file: ")
    return _in_state(spec, pb.TRAIN, p.train_state)


def test_nets(p: pb.SolverParameter, path: str | Path | None, *, untested: bool) -> list[NetSpec]:
    """The nets that are tested, in Caffe's order: test_net_param, test_net, then the train net for the rest.

    Empty if every test_iter is 0, unless `untested`: then they are for the solver's owner to run. Raises PrototxtError.
    """
    if not any(p.test_iter) and not untested:
        return []
    file = _path(path)
    specs = [NetSpec(net, pb.NetState(), file, "test_net_param") for net in p.test_net_param]
    specs += [_from_file("test_net", name, path, "test_net file: ") for name in p.test_net]
    remaining = len(p.test_iter) - len(specs)
    if remaining and p.HasField("net_param"):
        specs += [NetSpec(p.net_param, pb.NetState(), file, "net_param")] * remaining
    elif remaining:
        specs += [_from_file("net", p.net, path, "net file: ")] * remaining
    states: Sequence[pb.NetState] = p.test_state or [pb.NetState()] * len(specs)
    return [_in_state(spec, pb.TEST, state) for spec, state in zip(specs, states, strict=True)]


def read_net(path: str | Path, state: pb.NetState) -> NetSpec:
    """The net in a file, in its own state overridden by `state`. Raises PrototxtError."""
    return _in_state(NetSpec(text.read_net(path), pb.NetState(), Path(path), f"net file: {path}"), state.phase, state)


def find_net(field: str, name: str, solver: str | Path | None, instead: str = "") -> Path:
    """The net file that the solver's `field` names. Raises PrototxtError if it does not exist.

    The message names the solver and the line, and suggests a file of the same name beside the solver. instead: another
    way to give that file, with {} for its name.
    """
    file = paths.resolve(name, solver)
    if solver is None or regular_file.exists(file):
        return file
    where = f"{solver}{line_of(solver, field, [name])}: {field}"
    beside = Path(solver).parent / Path(name).name
    if not regular_file.is_file(beside):
        try:
            text.load(file)
        except PrototxtError as e:
            raise PrototxtError(f"{where}: {e}") from None
    other = f", or {instead.format(beside)}" if instead else ""
    raise PrototxtError(
        f"{where}: {name}: no such file, from {Path.cwd()} or beside the solver. {beside} has that name: write "
        f'{field}: "{beside.name}"{other}.'
    )


def line_of(path: str | Path, field: str, values: Collection[Any]) -> str:
    """`:LINE` of `field` in the solver `path` if it has one of `values` there, else ""."""
    source = text.load(path) if Path(path).is_file() else ""
    for each in tokens.fields(tokens.tokenize(source)):
        if each.name.text == field:
            parsed = text.parse(source[each.name.start : each.end], pb.SolverParameter, str(path))
            if any(value in values for value in _values(parsed, field)):
                return f":{each.name.line}"
    return ""


def _values(p: pb.SolverParameter, field: str) -> Sequence[Any]:
    """The values of a field of `p`, repeated or not; none if `field` is ""."""
    value = getattr(p, field) if field else ()
    return [value] if isinstance(value, (str, int, float)) else value


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _from_file(field: str, name: str, solver: str | Path | None, source: str) -> NetSpec:
    file = find_net(field, name, solver)
    return NetSpec(text.read_net(file), pb.NetState(), file, f"{source}{name}")


def _in_state(spec: NetSpec, phase: int, last: pb.NetState) -> NetSpec:
    state = pb.NetState(phase=phase)  # type: ignore[arg-type]
    state.MergeFrom(spec.param.state)
    state.MergeFrom(last)
    return NetSpec(spec.param, state, spec.path, spec.source)
