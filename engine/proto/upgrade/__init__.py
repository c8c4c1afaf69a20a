"""Upgrades old nets and solvers to today's form, in place, as Caffe does.

Each step turns one older form into the next: V0 layers (2013) into V1 layers (2014), V1 into today's, transformations
inside data parameters into `transform_param`, `input` fields into an Input layer, fields of forks into those of Caffe.
Each returns notices for the user.
"""

import logging
from pathlib import Path
from typing import TypeVar

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto.upgrade import batch_norm, forks, fused, inputs, transform, v0, v1

log = logging.getLogger(__name__)

M = TypeVar("M", pb.NetParameter, pb.SolverParameter)

_SOLVER_TYPES = {
    pb.SolverParameter.SGD: "SGD",
    pb.SolverParameter.NESTEROV: "Nesterov",
    pb.SolverParameter.ADAGRAD: "AdaGrad",
    pb.SolverParameter.RMSPROP: "RMSProp",
    pb.SolverParameter.ADADELTA: "AdaDelta",
    pb.SolverParameter.ADAM: "Adam",
}


def bring_up(message: M, path: str | Path) -> M:
    """Upgrades `message`, read from `path`, in place, logs the notices as warnings, and returns it.

    Raises PrototxtError.
    """
    try:
        notices = upgrade_net(message) if isinstance(message, pb.NetParameter) else upgrade_solver(message)
    except PrototxtError as error:
        raise PrototxtError(f"{path}: {error}") from error
    for notice in notices:
        log.warning("%s: %s", path, notice)
    return message


def upgrade_net(net: pb.NetParameter) -> list[str]:
    """Upgrades `net` in place; returns notices for the user. A modern net is left as it is.

    Raises PrototxtError if an old form contradicts itself.
    """
    oldest = v0.upgrade(net)
    old = v1.upgrade(net)
    return [
        *(oldest or old),
        *transform.upgrade(net),
        *inputs.upgrade(net),
        *batch_norm.upgrade(net),
        *forks.upgrade(net),
        *fused.upgrade(net),
    ]


def upgrade_solver(solver: pb.SolverParameter) -> list[str]:
    """Upgrades `solver`, and nets written inside it, in place; returns notices for the user.

    Raises PrototxtError if both the old `solver_type` and `type` are given.
    """
    notices = []
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            old = pb.SolverParameter.SolverType.Name(solver.solver_type)
            raise PrototxtError(
                f'gives both type: "{solver.type}" and the old solver_type: {old}. Keep type and delete solver_type.'
            )
        solver.type = _SOLVER_TYPES[solver.solver_type]
        solver.ClearField("solver_type")
        notices.append(f'solver_type is an old field; read as type: "{solver.type}"')
    if solver.engine:
        notices.append(f'engine "{solver.engine}" is one of Intel\'s Caffe, and has no effect')
        solver.ClearField("engine")
    inline = [name for name in ("net_param", "train_net_param") if solver.HasField(name)]
    for net in [*(getattr(solver, name) for name in inline), *solver.test_net_param]:
        notices += upgrade_net(net)
    return notices
