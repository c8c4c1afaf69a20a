"""Applies SSD's noise_param to pictures after they are resized: greyscale, blur, fewer colours, and the like.

Pictures are uint8 (height, width, channels), colours in BGR order.
"""

from collections.abc import Callable

import cv2
import numpy as np

from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

STEP = 64
"""How many neighbouring values of a channel posterize maps to one."""

CLIP = 4.0
"""The contrast limit of clahe; its tile grid is OpenCV's default, 8 × 8."""


def check(p: pb.NoiseParameter) -> None:
    """Raises DataError for settings whose effect SSD leaves undefined."""
    if p.convert_to_lab:
        raise DataError("noise_param: convert_to_lab makes fractions, which SSD's Caffe reads as bytes; leave it out.")
    if p.saltpepper and not p.saltpepper_param.value:
        raise DataError("noise_param: saltpepper needs saltpepper_param with a value, or one per channel.")
    if p.saltpepper and not 0 <= p.saltpepper_param.fraction <= 1:
        raise DataError(
            f"noise_param: saltpepper_param's fraction is {p.saltpepper_param.fraction:g}; it must be from 0 to 1."
        )
    if p.HasField("jpeg") and not (p.jpeg <= 0 or 1 <= p.jpeg <= 100):
        raise DataError(f"noise_param: jpeg is {p.jpeg:g}; it is a quality from 1 to 100, or −1 for none.")
    if bad := [v for v in p.saltpepper_param.value if not 0 <= v <= 255]:
        raise DataError(f"noise_param: saltpepper_param has the value {bad[0]:g}; values must be from 0 to 255.")


def apply(picture: np.ndarray, p: pb.NoiseParameter, rng: np.random.Generator) -> np.ndarray:
    """The picture with every change of `noise_param` applied, in SSD's order; `prob` has no effect, as in SSD.

    Raises DataError for a change that needs three channels where the picture has another number.
    """
    channels = picture.shape[2]
    if needs := [name for name in ("decolorize", "jpeg", "convert_to_hsv") if _asked(p, name)]:
        _need_colours(channels, needs[0])
    if (p.hist_eq or p.clahe) and channels != 1:
        _need_colours(channels, "hist_eq" if p.hist_eq else "clahe")
    clahe = cv2.createCLAHE(CLIP)
    steps: list[tuple[str, Callable[[np.ndarray], np.ndarray]]] = [
        ("decolorize", lambda x: cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)),
        ("gauss_blur", lambda x: cv2.GaussianBlur(x, (7, 7), 1.5)),
        ("hist_eq", lambda x: _on_brightness(x, cv2.equalizeHist)),
        ("clahe", lambda x: _on_brightness(x, clahe.apply)),
        ("jpeg", lambda x: _jpeg_compressed(x, int(p.jpeg))),
        ("erode", lambda x: cv2.erode(x, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))),
        ("posterize", lambda x: x // STEP * STEP + STEP // 2),
        ("inverse", lambda x: 255 - x),
        ("saltpepper", lambda x: _peppered(x, p.saltpepper_param, rng)),
        ("convert_to_hsv", lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2HSV)),
    ]
    for name, step in steps:
        if _asked(p, name):
            picture = step(np.ascontiguousarray(picture)).reshape(*picture.shape)
    return picture


def _asked(p: pb.NoiseParameter, name: str) -> bool:
    return p.jpeg > 0 if name == "jpeg" else bool(getattr(p, name))


def _need_colours(channels: int, field: str) -> None:
    if channels != 3:
        raise DataError(f"has {channels} channels, and noise_param's {field} needs 3")


def _on_brightness(x: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if x.shape[2] == 1:
        return change(x[:, :, 0])
    planes = list(cv2.split(cv2.cvtColor(x, cv2.COLOR_BGR2YCrCb)))
    planes[0] = change(planes[0])
    coloured: np.ndarray = cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR)
    return coloured


def _jpeg_compressed(x: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def _peppered(x: np.ndarray, p: pb.SaltPepperParameter, rng: np.random.Generator) -> np.ndarray:
    """The picture with a `fraction` of its pixels, drawn with replacement, set to the colour `value`."""
    if len(p.value) not in (1, x.shape[2]):
        raise DataError(
            f"has {x.shape[2]} channels and saltpepper_param has {len(p.value)} value; give one, or one per channel"
        )
    rows, columns = x.shape[:2]
    number = int(np.float32(p.fraction) * columns * rows)
    x = x.copy()
    x[rng.integers(rows, size=number), rng.integers(columns, size=number)] = np.array(p.value).astype(np.uint8)
    return x
