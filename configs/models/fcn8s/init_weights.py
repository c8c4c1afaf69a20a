"""Weights to begin FCN-8s with, of a trained VGG-16's: python init_weights.py VGG.caffemodel init.caffemodel

Convolutions have those of VGG-16's layers of the same names, its inner products fc6 and fc7 too, which see what a
convolution over the whole of their input sees; upsampling is bilinear, each class by itself; scores begin at 0.
"""

import sys
from pathlib import Path

import caffe
import numpy as np

from engine.tools import model_arrays


def bilinear(channels: int, size: int) -> np.ndarray:
    """Weights (channels, channels, size, size) that make a picture size / 2 times as large, channel by channel."""
    distance = np.abs(np.arange(size) - (size - 1) / 2)
    tent = 1 - distance / (size / 2)
    return np.eye(channels)[:, :, None, None] * np.outer(tent, tent)


def main(vgg: str, out: str) -> None:
    net = caffe.Net(str(Path(__file__).with_name("deploy.prototxt")), caffe.TEST)
    for entry in model_arrays.read(Path(vgg)).entries:
        if entry.layer in net.params:
            net.params[entry.layer][entry.index].data.flat = entry.values.flat
    for name, arrays in net.params.items():
        if name.startswith("upscore"):
            channels, _, size, _ = arrays[0].data.shape
            arrays[0].data[...] = bilinear(channels, size)
    net.save(out)
    print(f"{out}: weights for FCN-8s")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
