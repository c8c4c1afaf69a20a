"""Reads a picture's orientation, as the camera recorded it, from the Exif in a JPEG's APP1 segments."""

import struct

BEGIN = b"Exif\0\0"
"""How a segment with Exif begins. Of several in a file, the first counts, as in OpenCV."""

UPRIGHT, KINDS = 1, range(1, 9)
_ORIENTATION = 0x0112


def orientation(segment: bytes) -> int:
    """The orientation in an APP1 segment: 1 to 8, of which those above 4 swap width and height.

    UPRIGHT if the segment is not Exif, or says nothing, or something else.
    """
    if not segment.startswith(BEGIN):
        return UPRIGHT
    tiff = segment.removeprefix(BEGIN)
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
            if tag == _ORIENTATION:
                return int(value) if value in KINDS else UPRIGHT
    except struct.error:  # truncated Exif says nothing
        pass
    return UPRIGHT
