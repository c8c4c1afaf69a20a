"""Writes a diagram in Graphviz's language, and runs Graphviz."""

import shutil
import subprocess

from engine.errors import NetError
from engine.printable import printable

from .diagram import Diagram

PATIENCE = 600
"""Seconds allowed for drawing a net: Graphviz takes minutes for thousands of layers."""


def text(diagram: Diagram, rankdir: str) -> str:
    """The diagram as a `digraph` of Graphviz. https://graphviz.org/doc/info/lang.html"""
    # In a horizontal drawing there is room for more lines, in a vertical one for longer lines.
    between = "\\n" if rankdir in ("LR", "RL") else " "
    lines = [f"digraph {_quoted(diagram.name)} {{", f"rankdir={_quoted(rankdir)};"]
    for key, node in diagram.nodes.items():
        shape = "octagon" if node.is_blob else "box"
        label = between.join(_escaped(line) for line in node.label)
        lines.append(f'{_quoted(key)} [label="{label}", shape={shape}, style=filled, fillcolor="{node.colour}"];')
    for edge in diagram.edges:
        lines.append(f"{_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(edge.label)}];")
    return "\n".join([*lines, "}", ""])


def is_installed() -> bool:
    """Whether Graphviz's `dot` is on PATH."""
    return shutil.which("dot") is not None


def run(source: str, form: str) -> bytes:
    """Graphviz's output for `source` in the format `form`. Raises NetError with Graphviz's message if it fails."""
    try:
        process = subprocess.run(
            ["dot", f"-T{form}"], input=source.encode(), capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as e:
        raise NetError(
            f"Graphviz did not finish drawing this net in {PATIENCE} s. Write a .gv and run `dot` on it yourself."
        ) from e
    if process.returncode:
        message = printable(process.stderr.decode(errors="replace").strip(), one_line=True)
        raise NetError(f"Graphviz (dot -T{form}) failed with status {process.returncode}: {message}")
    return process.stdout


def _quoted(name: str) -> str:
    return f'"{_escaped(name)}"'


def _escaped(name: str) -> str:
    return printable(name, one_line=True).replace("\\", "\\\\").replace('"', '\\"')
