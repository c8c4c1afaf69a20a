"""How a step says what it did."""

from collections.abc import Callable

Report = Callable[[str], object]
"""Is told each thing as soon as it is done, in a line."""
