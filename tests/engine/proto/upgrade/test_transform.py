import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.proto.upgrade import transform


def upgraded(written):
    net = text.parse(f'layer {{ name: "d" {written} }}', pb.NetParameter)
    return net.layer[0], transform.upgrade(net)


@pytest.mark.parametrize(
    ("name", "block"), [("Data", "data_param"), ("ImageData", "image_data_param"), ("WindowData", "window_data_param")]
)
def test_transformations_in_the_data_layers_block_are_obeyed_and_said(name, block):
    layer, notices = upgraded(
        f'type: "{name}" {block} {{ source: "s" scale: 0.5 mean_file: "m" crop_size: 3 mirror: true }}'
    )
    assert layer == text.parse(
        f'name: "d" type: "{name}" {block} {{ source: "s" }} '
        'transform_param { scale: 0.5 mean_file: "m" crop_size: 3 mirror: true }',
        pb.LayerParameter,
    )
    (notice,) = notices
    assert notice.startswith(f'layer "d" ({name}): {block} ')
    assert 'write transform_param { scale: 0.5 mirror: true crop_size: 3 mean_file: "m" }' in notice


def test_transform_param_wins():
    layer, notices = upgraded(
        'type: "Data" data_param { scale: 0.5 mirror: true } transform_param { scale: 2 mean_value: 1 }'
    )
    assert layer == text.parse(
        'name: "d" type: "Data" data_param { } transform_param { scale: 2 mirror: true mean_value: 1 }',
        pb.LayerParameter,
    )
    assert notices[0] == 'layer "d" (Data): scale in data_param: ignored, since transform_param gives it too'


@pytest.mark.parametrize(
    "written",
    [
        'type: "Data" data_param { source: "s" } transform_param { scale: 2 }',
        'type: "Scale" data_param { scale: 0.5 }',
        'type: "Data"',
    ],
)
def test_all_else_stays_as_it_is(written):
    layer, notices = upgraded(written)
    assert layer == text.parse(f'name: "d" {written}', pb.LayerParameter)
    assert notices == []
