import os
import subprocess
import sys

import pytest

DECODED = """
import numpy as np
from engine.data import datum
import cv2
print(datum.decode(cv2.imencode(".png", np.zeros((4, 5), np.uint8))[1].tobytes(), datum.Colour.GREY).shape)
"""


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("OPENCV_IO_MAX_IMAGE_PIXELS", "1KB", "(1, 4, 5)"),
        ("OPENCV_IO_MAX_IMAGE_PIXELS", "many", "PIXELS is 'many'; give it a whole number, such as 1073741824"),
        ("OPENCV_IO_MAX_IMAGE_WIDTH", "", "WIDTH is ''; give it a whole number"),
    ],
)
def test_what_opencv_cannot_read_of_the_environment_is_said(name, given, said):
    environment = {**os.environ, name: given}
    done = subprocess.run([sys.executable, "-c", DECODED], env=environment, capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr
    assert done.returncode == (0 if said.startswith("(") else 1)
