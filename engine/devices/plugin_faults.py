"""Why plugins of JAX could not start. JAX logs each with its traceback, on a node without a GPU too, where none was
asked for; here it is kept for the message to whoever asks for the plugin's devices."""

import logging

LOGGER, MARK = "jax._src.xla_bridge", "Jax plugin configuration error"


class PluginFaults(logging.Filter):
    """Keeps JAX's words on plugins that could not start out of its log. `reasons`: the first line of each fault."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith(MARK):
            return True
        error = record.exc_info[1] if record.exc_info else None
        lines = str(error or record.getMessage()).strip().splitlines()
        self.reasons += lines[:1]
        return False


FAULTS = PluginFaults()


def keep() -> None:
    """From here on. Before JAX looks for devices."""
    logging.getLogger(LOGGER).addFilter(FAULTS)  # once: a filter that is there is not added again
