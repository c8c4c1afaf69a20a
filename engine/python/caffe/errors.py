"""Errors that programs written for pycaffe catch as what Python, numpy or Boost raises there."""

from engine.errors import DataError, NetError


class ArrayError(DataError, NetError, ValueError):
    """An array that does not fit."""


class ArgumentError(NetError, TypeError):
    """An argument of a kind that a call does not take."""


class UnknownLayerError(NetError, ValueError):
    """A layer's name that the net does not have."""


class UnknownBlobError(NetError, KeyError):
    """A blob's name that the net does not have."""

    __str__ = Exception.__str__  # KeyError's has quotes around it


class PictureError(DataError, FileNotFoundError):
    """A picture whose file is not there."""
