"""How a camera was held, by Exif."""

import pytest
from support.exif import exif

from engine.data.exif import orientation


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", [1, 6, 8])
def test_orientation(value, order):
    assert orientation(exif(value, order)) == value


@pytest.mark.parametrize(
    "segment",
    [
        b"",
        exif(0),
        exif(9),
        exif(300),
        b"http://ns.adobe.com/xap/1.0/\0",
        exif(6, tag=0x010F),
        exif(6)[:20],
        b"Exif\0\0II*\0\xff\xff\xff\xff",
    ],
)
def test_what_does_not_say_is_upright(segment):
    assert orientation(segment) == 1
