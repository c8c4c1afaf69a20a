"""Why plugins of JAX could not start. JAX logs each with its traceback, on a node without a GPU too, where none was
asked for; here it is kept for the message to whoever asks for the plugin's devices."""

import logging

MARKS = ("Jax plugin configuration error", "CUDA version check failed during initialization")
"""How JAX begins to tell of a plugin that raised, and that of CUDA, in JAX after 0.10, of what it found itself."""

MISLEADING = "An NVIDIA GPU may be present"
"""…but JAX is installed without CUDA: said also where it is installed, and could not start."""

LOGGERS = ("jax._src.xla_bridge", "jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13")

LINES = 5
"""So many of a fault's are kept: JAX tells on lines of their own which version it found and which it needs."""


class PluginFaults(logging.Filter):
    """Keeps JAX's words on plugins that could not start out of its log. `reasons`: what each fault says, in a line."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if said.startswith(MISLEADING):
            return not self.reasons
        if not said.startswith(MARKS):
            return True
        error = record.exc_info[1] if record.exc_info else None
        lines = str(error or said.rpartition("Error: ")[2]).strip().splitlines()
        self.reasons.append(" ".join(line.strip() for line in lines[:LINES]))
        return False


FAULTS = PluginFaults()


def keep() -> None:
    """From here on. Before JAX looks for devices."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(FAULTS)  # once: a filter that is there is not added again
