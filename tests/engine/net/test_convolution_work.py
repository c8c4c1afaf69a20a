"""Which sizes of a net have convolutions that take next to no time."""

import pytest
from support.small_nets import INPUT, made

from engine.net.convolution_work import light


@pytest.mark.parametrize(("size", "is_light"), [(9, True), (100, True), (2000, False)])
def test_few_multiplications_of_kernels_are_light(size: int, is_light: bool):
    picture = INPUT.replace("dim: 2 dim: 3", "dim: 1 dim: 3 dim: 9 dim: 9")
    kernel = "convolution_param { num_output: 10 kernel_size: 5 }"
    net = made(picture + f'layer {{ name: "c" type: "Convolution" bottom: "x" top: "c" {kernel} }}')
    assert light(net.resized({"x": (1, 3, size, size)})) == is_light
