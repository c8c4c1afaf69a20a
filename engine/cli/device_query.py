"""`caffe device_query`."""

import click

from engine.cli import flags

EPILOG = """\b
Examples:
  caffe device_query
  caffe device_query -gpu 0
"""


@click.command("device_query", cls=flags.Command, epilog=EPILOG)
@click.option("--gpu", default="", metavar="N|all", help="Which GPUs to show; without it, every device that JAX finds.")
def device_query(gpu: str) -> None:
    """Shows the devices that nets can run on."""
    from engine import log  # noqa: PLC0415
    from engine.devices import jax_setup, plugin_faults  # noqa: PLC0415

    if gpu:
        log.info("caffe.cpp:138", f"Querying GPUs {gpu}")
        jax_setup.prepare(gpu)
    import jax  # noqa: PLC0415

    plugin_faults.keep()
    devices = jax.devices()
    for reason in plugin_faults.FAULTS.reasons:
        log.warning("common.cpp:152", f"GPUs cannot be used here: {reason}")
    for device in devices:
        memory = (device.memory_stats() or {}).get("bytes_limit")
        log.info("common.cpp:178", f"Device id:                     {device.id}")
        log.info("common.cpp:184", f"Name:                          {device.device_kind}")
        log.info("common.cpp:185", f"Platform:                      {device.platform}")
        if memory:
            log.info("common.cpp:186", f"Total memory for nets:         {memory}")
