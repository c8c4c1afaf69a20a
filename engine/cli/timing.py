"""`caffe time`: how much time a net takes, or with -memory how much memory."""

import click

from engine.cli import flags

EPILOG = """\b
Examples:
  caffe time -model train_val.prototxt -iterations 10
  caffe time -model deploy.prototxt -phase TEST -gpu 0
  caffe time -model train_val.prototxt -memory
"""


@click.command("time", cls=flags.Command, epilog=EPILOG)
@click.option("--model", required=True, metavar="FILE", help="The net, with data layers or with Input layers.")
@click.option("--iterations", type=click.IntRange(1, 2**31 - 1), default=50, show_default=True, help="Passes to time.")
@click.option("--gpu", default="", metavar="N", help="Run on this GPU. Without this flag, run on the CPU.")
@click.option(
    "--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True, help="Phase to time."
)
@flags.level
@click.option("--stage", default="", metavar="NAME,…", help="The net's stages (NetState).")
@click.option("--weights", metavar="FILE,…", help="Load these models, for nets whose time depends on their parameters.")
@click.option("--memory", is_flag=True, help="Report the device memory that an iteration needs, without running it.")
@flags.precision
@flags.layers
def time(
    model: str,
    iterations: int,
    gpu: str,
    phase: str,
    level: int,
    stage: str,
    weights: str | None,
    memory: bool,
    precision: str,
) -> None:
    """Time a net's forward and forward-backward passes, and each layer on its own.

    The compiled net fuses layers, so the layers' own times add up to more than the net's. -memory reports what XLA
    plans for one iteration of SGD with momentum, or with -phase TEST for one forward pass.
    """
    from engine.devices import jax_setup  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415

    jax_setup.prepare(gpu, precision)
    from engine.devices.run_faults import surfaced  # noqa: PLC0415
    from engine.solver import benchmark, device_memory  # noqa: PLC0415
    from engine.solver.inputs import Batches  # noqa: PLC0415
    from engine.solver.report.caffe_log import Report  # noqa: PLC0415
    from engine.solver.settings import read_net  # noqa: PLC0415
    from engine.solver.snapshot import formats  # noqa: PLC0415

    state = pb.NetState(phase=phase, level=level, stage=flags.names(stage))
    net = Report().built(read_net(model, state), jax_setup.LOW[precision])
    if memory:
        device_memory.report(net, train=phase == "TRAIN")
        return
    params = net.init(seed=0)
    for name in weights.split(",") if weights else ():
        params = formats.load_model(name.strip(), net, params)
    with Batches(net, seed=0) as batches, surfaced():
        benchmark.run(net, params, batches.next(), iterations)
