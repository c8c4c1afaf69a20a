"""`caffe device_query`."""

import click

from engine.cli import flags

EPILOG = """\b
Examples:
  caffe device_query
  caffe device_query -gpu 0
"""


@click.command("device_query", cls=flags.Command, epilog=EPILOG)
@click.option("--gpu", default="", metavar="N|all", help="Show only these GPUs, not all devices that JAX finds.")
def device_query(gpu: str) -> None:
    """Show the devices that nets can run on."""
    from engine import log  # noqa: PLC0415
    from engine.devices import jax_setup  # noqa: PLC0415

    if gpu:
        log.info("caffe.cpp:138", f"Querying GPUs {gpu}")
        jax_setup.prepare(gpu)
        devices = jax_setup.gpus(f"-gpu {gpu}: ", "")
    else:
        devices = jax_setup.every()
    for device in devices:
        memory = (device.memory_stats() or {}).get("bytes_limit")
        log.info("common.cpp:178", f"Device id:                     {device.id}")
        for name, number in zip(("Major", "Minor"), getattr(device, "compute_capability", "").split("."), strict=False):
            if number:
                log.info("common.cpp:180", f"{name} revision number:         {number}")
        log.info("common.cpp:184", f"Name:                          {device.device_kind}")
        log.info("common.cpp:185", f"Platform:                      {device.platform}")
        if memory:
            log.info("common.cpp:186", f"Total memory for nets:         {memory}")
