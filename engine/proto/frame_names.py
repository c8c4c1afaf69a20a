"""The file names of a video's frames, which are pictures in a folder of its own (VideoData)."""

import re

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb

DEFAULTS = {pb.VideoDataParameter.RGB: "image_%04d.jpg", pb.VideoDataParameter.FLOW: "flow_%c_%04d.jpg"}

_WIDE = re.compile(r"%[^a-zA-Z]*\d{4}")
"""A field width that no file name has room for."""


def names(p: pb.VideoDataParameter, frame: int) -> list[str]:
    """The files of a frame, counted from 1: one picture, or the flow along x and along y.

    Raises PrototxtError for a name_pattern that does not take a number, or for flow a letter and a number.
    """
    pattern = p.name_pattern or DEFAULTS[p.modality]
    of_flow = p.modality == p.FLOW
    try:
        if _WIDE.search(pattern):
            raise ValueError(pattern)
        return [pattern % ((axis, frame) if of_flow else frame) for axis in ("xy" if of_flow else "x")]
    except (TypeError, ValueError, OverflowError) as e:
        directives = "a %c, for x and y, and a %d, as in flow_%c_%04d.jpg" if of_flow else "a %d, as in image_%04d.jpg"
        raise PrototxtError(f'name_pattern "{pattern}" is wrong; it needs {directives}.') from e
