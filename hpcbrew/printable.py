"""Text from outside on its way to a terminal or into a message: the engine's way of showing it, for both programs."""

from engine.printable import printable

__all__ = ["printable"]
