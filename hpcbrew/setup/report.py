"""How a setup step reports what it did."""

from collections.abc import Callable

Report = Callable[[str], object]
"""Called with one line for each thing as soon as it is done."""
