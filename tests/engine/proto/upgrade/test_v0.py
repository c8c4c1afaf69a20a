import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import text, upgrade
from engine.proto.upgrade import v0


def upgraded(written):
    net = text.parse(written, pb.NetParameter)
    notices = upgrade.upgrade_net(net)
    return net, notices


def layer(written):
    net, notices = upgraded(f'layers {{ layer {{ name: "a" {written} }} }}')
    assert len(notices) == 1
    return net.layer[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            'type: "data" source: "db" batchsize: 2 scale: 0.5 meanfile: "m" cropsize: 3 mirror: true rand_skip: 4',
            'type: "Data" data_param { source: "db" batch_size: 2 rand_skip: 4 }'
            'transform_param { scale: 0.5 mean_file: "m" crop_size: 3 mirror: true }',
        ),
        (
            'type: "images" source: "l" batchsize: 2 new_height: 3 new_width: 4 shuffle_images: true rand_skip: 5',
            'type: "ImageData" image_data_param '
            '{ source: "l" batch_size: 2 new_height: 3 new_width: 4 shuffle: true rand_skip: 5 }',
        ),
        (
            'type: "window_data" source: "w" batchsize: 2 det_fg_threshold: 0.6 det_bg_threshold: 0.1 '
            'det_fg_fraction: 0.3 det_context_pad: 16 det_crop_mode: "square"',
            'type: "WindowData" window_data_param { source: "w" batch_size: 2 fg_threshold: 0.6 bg_threshold: 0.1 '
            'fg_fraction: 0.3 context_pad: 16 crop_mode: "square" }',
        ),
        (
            'type: "hdf5_data" source: "h" batchsize: 2',
            'type: "HDF5Data" hdf5_data_param { source: "h" batch_size: 2 }',
        ),
        (
            'type: "hdf5_output" hdf5_output_param { file_name: "o" }',
            'type: "HDF5Output" hdf5_output_param { file_name: "o" }',
        ),
        ('type: "infogain_loss" source: "i"', 'type: "InfogainLoss" infogain_loss_param { source: "i" }'),
        ('type: "concat" concat_dim: 2', 'type: "Concat" concat_param { concat_dim: 2 }'),
        (
            'type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1',
            'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }',
        ),
        ('type: "lrn" local_size: 3 k: 2', 'type: "LRN" lrn_param { local_size: 3 k: 2 }'),
        (
            'type: "conv" pad: 1 weight_decay: 0.5 blobs { num: 1 }',
            'type: "Convolution" convolution_param { pad: 1 } param { decay_mult: 0.5 } blobs { num: 1 }',
        ),
    ],
)
def test_each_field_goes_to_its_place(old, new):
    assert layer(old) == text.parse('name: "a"' + new, pb.LayerParameter)


@pytest.mark.parametrize("name", v0.TYPES)
def test_every_type_has_a_name_of_today(name):
    assert layer(f'type: "{name}"').type


def test_a_field_that_the_type_has_not_is_ignored_and_said():
    net, notices = upgraded('layers { layer { name: "r" type: "relu" num_output: 3 new_num: 1 } }')
    assert net.layer[0] == pb.LayerParameter(name="r", type="ReLU")
    assert notices[1] == 'layer "r" (relu): num_output, new_num: not for this type; ignored'


def test_an_unknown_type_is_refused_with_those_there_are():
    with pytest.raises(PrototxtError, match=r'layer "a" \(convolve\): no such type .*: accuracy, bnll'):
        layer('type: "convolve"')


PADDED = """
layers { layer { name: "p" type: "padding" pad: 2 } bottom: "x" top: "p" }
layers { layer { name: "c" type: "%s" } bottom: "p" %s top: "c" }
"""


@pytest.mark.parametrize(("name", "block"), [("conv", "convolution_param"), ("pool", "pooling_param")])
def test_padding_goes_into_the_layer_that_reads_it(name, block):
    net, _ = upgraded(PADDED % (name, ""))
    (only,) = net.layer
    assert list(only.bottom) == ["x"]
    assert text.format(getattr(only, block)) == "pad: 2\n"


def test_padding_before_another_type_is_refused():
    with pytest.raises(PrototxtError, match=r'layer "c" \(relu\): reads the padding layer "p". Only conv and pool can'):
        upgraded(PADDED % ("relu", ""))


def test_padding_beside_another_bottom_is_refused():
    with pytest.raises(PrototxtError, match="one bottom each"):
        upgraded(PADDED % ("conv", 'bottom: "x"'))


def test_fields_of_the_net_are_kept():
    net, _ = upgraded('name: "n" force_backward: true state { level: 1 } layers { layer { type: "relu" } }')
    assert (net.name, net.force_backward, net.state.level) == ("n", True, 1)


def test_v1_layers_between_are_upgraded_too():
    net, _ = upgraded('layers { layer { name: "a" type: "relu" } } layers { name: "b" type: TANH }')
    assert [(each.name, each.type) for each in net.layer] == [("a", "ReLU"), ("b", "TanH")]
