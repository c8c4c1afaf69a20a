"""`caffe test`."""

import click

from engine.cli import flags

EPILOG = """\b
Example:
  caffe test -model train_val.prototxt -weights lenet_iter_10000.caffemodel -iterations 100
"""


@click.command(cls=flags.Command, epilog=EPILOG)
@click.option("--model", required=True, metavar="FILE", help="The net, with its data layers.")
@click.option("--weights", required=True, metavar="FILE,…", help="The .caffemodel or .caffemodel.h5 to test.")
@click.option("--iterations", type=click.IntRange(1, 2**31 - 1), default=50, show_default=True, help="Batches to run.")
@click.option("--gpu", default="", metavar="N", help="Run on this GPU. Without this flag, run on the CPU.")
@flags.level
@click.option("--stage", default="", metavar="NAME,…", help="The net's stages (NetState).")
@flags.precision
@flags.layers
@flags.fork
@flags.skip_bad_records
@flags.local_copy_flag
def test(model: str, weights: str, iterations: int, gpu: str, level: int, stage: str, precision: str) -> None:
    """Score a trained model on its net's data, in phase TEST."""
    from engine import log  # noqa: PLC0415  what follows imports protobuf and JAX, which --help does not need
    from engine.devices import jax_setup  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415

    jax_setup.prepare(gpu, precision)
    from engine.devices.run_faults import surfaced  # noqa: PLC0415
    from engine.solver.evaluation import TestNet  # noqa: PLC0415
    from engine.solver.inputs import Batches  # noqa: PLC0415
    from engine.solver.report.caffe_log import Report  # noqa: PLC0415
    from engine.solver.settings import read_net  # noqa: PLC0415
    from engine.solver.snapshot import formats  # noqa: PLC0415

    report = Report()
    state = pb.NetState(phase=pb.TEST, level=level, stage=flags.names(stage))
    net = report.built(read_net(model, state), jax_setup.LOW[precision])
    tested = TestNet(net, Batches(net, seed=0), seed=0)
    for name in weights.split(","):
        tested.params = formats.load_model(name.strip(), net, tested.params)
    log.info("caffe.cpp:281", f"Running for {iterations} iterations.")
    with tested.batches, surfaced():
        if scores := tested.scores(report.batches(tested.passes([], iterations))):
            report.scores(net, scores)
