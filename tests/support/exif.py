"""An Exif segment, as cameras write it."""

import struct


def exif(value, order="<", tag=0x0112):
    """A segment with one tag."""
    head = b"Exif\0\0" + (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, 1)
    return head + struct.pack(f"{order}HHIHHI", tag, 3, 1, value, 0, 0)
