"""Errors that are also of the built-in types that pycaffe raises, so that programs written for it catch them."""

from engine.errors import DataError, NetError


class ArrayError(DataError, NetError, ValueError):
    """An array of the wrong shape or type."""


class ArgumentError(NetError, TypeError):
    """An argument of the wrong type."""


class UnknownLayerError(NetError, ValueError):
    """The name of a layer that the net does not have."""


class UnknownBlobError(NetError, KeyError):
    """The name of a blob that the net does not have."""

    __str__ = Exception.__str__  # KeyError's puts the message in quotes


class PictureError(DataError, FileNotFoundError):
    """A picture whose file does not exist."""
