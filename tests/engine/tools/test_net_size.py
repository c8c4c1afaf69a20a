import pytest
from support.small_nets import INPUT, ip, made

from engine.tools import net_size
from engine.tools.net_size import NetSize

PICTURES = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }\n'


def convolution(kind: str, param: str) -> str:
    return f'layer {{ name: "c" type: "{kind}" bottom: "x" top: "c" convolution_param {{ {param} }} }}\n'


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (INPUT + ip("a", "x", "a", 4), NetSize(16, 0, 12, 2)),
        (INPUT + ip("a", "x", "a", 4, param="transpose: true"), NetSize(16, 0, 12, 2)),
        (
            INPUT + ip("a", "x", "a", 3, 'param { name: "w" }') + ip("b", "a", "b", 3, 'param { name: "w" }'),
            NetSize(15, 0, 18, 2),
        ),
        (PICTURES + convolution("Convolution", "num_output: 8 kernel_size: 3"), NetSize(296, 0, 16 * 8 * 36, 2)),
        (PICTURES + convolution("Convolution", "num_output: 8 kernel_size: 3 group: 4"), NetSize(80, 0, 16 * 8 * 9, 2)),
        (PICTURES + convolution("Deconvolution", "num_output: 8 kernel_size: 3"), NetSize(296, 0, 36 * 4 * 72, 2)),
        (PICTURES + 'layer { name: "n" type: "BatchNorm" bottom: "x" top: "n" }', NetSize(0, 9, 0, 2)),
    ],
)
def test_parameters_and_products_are_counted(net: str, size: NetSize) -> None:
    """By hand: Caffe has no such count."""
    assert net_size.of(made(net)) == size
