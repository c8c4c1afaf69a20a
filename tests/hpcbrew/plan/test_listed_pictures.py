from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.errors import ManifestError
from hpcbrew.plan import listed_pictures


def check(folder: Path, layer: str, **sizes: tuple[int, int]) -> None:
    """`layer` reads these pictures of (height, width)."""
    for name, size in sizes.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((*size, 3), np.uint8))
    config = text.parse(f'layer {{ name: "in" type: "ImageData" {layer} }}', pb.NetParameter).layer[0]
    listed_pictures.check_files(folder, [PurePosixPath(f"{name}.png") for name in sizes], config, "net:1: source")


def test_pictures_of_a_batch_are_of_one_size(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"net:1: source: .*/b\.png is 5×9 and .*/a\.png is 5×8, .* new_height"):
        check(tmp_path, "image_data_param { batch_size: 2 }", a=(5, 8), b=(5, 9))


@pytest.mark.parametrize(
    "layer",
    [
        "image_data_param { batch_size: 1 }",
        "image_data_param { batch_size: 2 new_height: 4 new_width: 4 }",
        "image_data_param { batch_size: 2 } transform_param { crop_size: 5 }",
        "image_data_param { batch_size: 2 } transform_param { crop_size: 9 random_resize_param { min_size: 9 } }",
        "image_data_param { batch_size: 2 } transform_param { crop_size: 9 allow_upscale: true }",
    ],
)
def test_sizes_may_differ_where_they_are_made_one(tmp_path: Path, layer: str) -> None:
    check(tmp_path, layer, a=(5, 8), b=(5, 9))


@pytest.mark.parametrize(
    ("stretched", "said"), [("", r"a\.png is 5×8, smaller"), ("new_height: 4 new_width: 9", r"is 4×9 \(new_height")]
)
def test_a_crop_larger_than_the_picture_is_refused(tmp_path: Path, stretched: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        check(
            tmp_path, f"image_data_param {{ batch_size: 2 {stretched} }} transform_param {{ crop_size: 6 }}", a=(5, 8)
        )


def test_of_a_long_list_some_are_looked_at_and_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_pictures, "MOST", 2)
    members = [PurePosixPath("a.png")] * 4 + [PurePosixPath("gone.png")]
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(ManifestError, match=r"gone\.png does not exist"):
        listed_pictures.check_files(tmp_path, members, pb.LayerParameter(type="ImageData"), "net:1: source")
