"""Collects why JAX's plugins could not start. JAX logs each failure with its traceback, even on a node without a GPU
where none was asked for. Here it is kept for the message to users who do ask for the plugin's devices."""

import logging

MARKS = ("Jax plugin configuration error", "CUDA version check failed during initialization")
"""The beginnings of JAX's messages about a plugin that raised, and (after JAX 0.10) of the CUDA plugin's own."""

MISLEADING = "An NVIDIA GPU may be present"
"""The beginning of JAX's message that it is installed without CUDA, which it also logs if CUDA could not start."""

LOGGERS = ("jax._src.xla_bridge", "jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13")

LINES = 5
"""The number of lines kept of each message: JAX names the versions that it found and needs on separate lines."""


class PluginFaults(logging.Filter):
    """Keeps messages about plugins that could not start out of JAX's log. reasons: one line for each message."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith(MISLEADING):
            return not self.reasons
        if not message.startswith(MARKS):
            return True
        error = record.exc_info[1] if record.exc_info else None
        lines = str(error or message.rpartition("Error: ")[2]).strip().splitlines()
        self.reasons.append(" ".join(line.strip() for line in lines[:LINES]))
        return False


FAULTS = PluginFaults()


def keep() -> None:
    """Starts collecting; to be called before JAX looks for devices."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(FAULTS)  # adding it again has no effect
