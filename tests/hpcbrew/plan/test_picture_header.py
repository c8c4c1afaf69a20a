import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.exif import exif

from hpcbrew.plan.picture_header import Header, NoPicture, read


def encoded(suffix: str, shape: tuple[int, ...] = (20, 30, 3)) -> bytes:
    done, data = cv2.imencode(suffix, np.zeros(shape, np.uint8))
    assert done
    return data.tobytes()


def write(folder: Path, data: bytes) -> Path:
    (folder / "picture").write_bytes(data)
    return folder / "picture"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif"])
def test_the_size_is_read_from_the_header(tmp_path: Path, suffix: str) -> None:
    assert read(write(tmp_path, encoded(suffix))) == Header(20, 30)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_grey_picture_is_known(tmp_path: Path, suffix: str) -> None:
    assert read(write(tmp_path, encoded(suffix, (20, 30)))) == Header(20, 30, grey=True)


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".jp2", ".ppm", ".sr", ".hdr"])
def test_of_other_formats_it_is_known_that_they_are_pictures(tmp_path: Path, suffix: str) -> None:
    assert read(write(tmp_path, encoded(suffix, (64, 64, 3)))) == Header()


@pytest.mark.parametrize("held", [[6], [9], [0], [6, 1], [1, 6], [9, 6], [None, 6]])
def test_the_first_orientation_that_is_one_counts(tmp_path: Path, held: list[int | None]) -> None:
    """As OpenCV decodes it. None: another segment of that kind, as for XMP."""
    segments = [b"http://ns.adobe.com/xap/1.0/\0" if value is None else exif(value) for value in held]
    marked = b"".join(b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment for segment in segments)
    data = encoded(".jpg")
    data = data[:2] + marked + data[2:]
    height, width, _ = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
    assert read(write(tmp_path, data)) == Header(height, width)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_held_sideways_swaps_height_and_width(tmp_path: Path, order: str) -> None:
    """As OpenCV decodes it, which turns the picture by its Exif."""
    mark = b"II" if order == "<" else b"MM"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 6, 0)
    tiff = mark + struct.pack(f"{order}HIH", 42, 8, 1) + entry + bytes(4)
    segment = b"Exif\0\0" + tiff
    data = encoded(".jpg")
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (30, 20, 3)
    assert read(write(tmp_path, data)) == Header(30, 20)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>", "is not a picture in a format that OpenCV reads: it begins with b'<!DOCTYPE ht'"),
        (encoded(".png")[:20], "is truncated"),
        (encoded(".jpg")[:40], "is truncated"),
        (encoded(".bmp")[:15], "is truncated"),
        (encoded(".bmp")[:18] + struct.pack("<ii", -30, 20) + bytes(99), "a size of 20 × -30"),
        (encoded(".png")[:16] + bytes(8) + encoded(".png")[24:], "a size of 0 × 0"),
        (b"\xff\xd8" + bytes(100), "no frame header"),
        (b"\xff\xd8\xff\xe1\0\0" + bytes(99), "no frame header"),  # Exif of 0 bytes, where 2 are the least
        (b"\xff\xd8\xff\xe0\0\1" + bytes(99), "no frame header"),
    ],
)
def test_what_is_no_picture_is_told(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(NoPicture, match=said):
        read(write(tmp_path, data))


def test_a_folder_and_nothing_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(NoPicture, match="is not a file"):
        read(tmp_path)
    with pytest.raises(NoPicture, match="does not exist"):
        read(tmp_path / "gone")
