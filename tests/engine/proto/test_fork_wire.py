import pytest
from google.protobuf.message import DecodeError

from engine.errors import PrototxtError
from engine.proto import binary, fork_wire, text
from engine.proto import caffe_pb2 as pb
from engine.proto.fork_numbers import NUMBERS


def field(number, value):
    """A field whose value is text, a message or a number, as it is written."""
    if isinstance(value, int):
        return number_bytes(number << 3) + number_bytes(value)
    return number_bytes(number << 3 | 2) + number_bytes(len(value)) + value


def number_bytes(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def net(*layers):
    return b"".join(field(100, field(1, b"a") + field(2, kind) + blocks) for kind, blocks in layers)


def read(data, fork=None):
    return pb.NetParameter.FromString(fork_wire.translated(data, fork))


@pytest.mark.parametrize(
    ("kind", "block", "found"),
    [
        (b"Permute", field(202, field(1, 0) + field(1, 2)), "permute_param { order: 0 order: 2 }"),
        (b"ROIPooling", field(8266711, field(1, 6)), "roi_pooling_param { pooled_h: 6 }"),
        (b"ROIPooling", field(204, field(1, 6)), "roi_pooling_param { pooled_h: 6 }"),
        (b"Upsample", field(137, field(1, 3)), "upsample_param { scale: 3 }"),
        (b"Interp", field(143, field(3, 8)), "interp_param { zoom_factor: 8 }"),
        *(
            (b"MultiStageMeanfield", field(number, field(6, 5)), "multi_stage_meanfield_param { num_iterations: 5 }")
            for number in (146, 1000)
        ),
        (b"DenseCRF", field(152, field(1, 5)), "dense_crf_param { max_iter: 5 }"),
        (b"MatWrite", field(145, field(1, b"out/")), 'mat_write_param { prefix: "out/" }'),
        (b"Normalize", field(214, field(1, b"L1")), 'normalize_param { normalize_type: "L1" }'),
        (b"PoolingND", field(147, field(3, 2) + field(3, 4)), "pooling_nd_param { kernel_size: 2 kernel_size: 4 }"),
        (b"ExpMax", field(158, b""), "expmax_param { }"),
        (b"GradientScaler", field(149, field(5, 7)), "gradient_scaler_param { threshold_iter: 7 }"),
        (b"GradientScaler", field(200, field(5, 7)), "gradient_scaler_param { threshold_iter: 7 }"),
        (b"JMMDLoss", field(150, field(5, 1)), "jmmd_param { label_kernel_num: 1 }"),
        (b"MMDLoss", field(147, field(1, 3)), "mmd_param { kernel_num: 3 }"),
        (b"EntropyLoss", field(148, field(3, 3)), "entropy_param { iterations_num: 3 }"),
        (b"TensorTranspose", field(7782, field(1, 1)), "tensor_transpose_param { order: 1 }"),
        (b"ConvLSTM", field(150, field(1, 8)), "lstm_conv_param { num_output: 8 }"),
        (b"Noise", field(1001, field(1, field(1, b"uniform"))), 'noise_param { filler_param { type: "uniform" } }'),
        (b"Resize", field(231, field(2, 9)), "resize_param { width: 9 }"),
        (b"WeightedSoftmaxWithLoss", field(125, field(4, 2)), "softmax_param { pos_cid: 2 }"),
        (b"Input", field(143, field(1, field(1, 2))), "input_param { shape { dim: 2 } }"),
        (b"Data", field(100, field(10, field(1, 1))), "transform_param { emit_constraint { emit_type: MIN_OVERLAP } }"),
    ],
)
def test_a_field_is_what_it_is_in_the_fork_of_its_layer(kind, block, found):
    want = text.parse(f'layer {{ name: "a" type: "{kind.decode()}" {found} }}', pb.NetParameter)
    assert read(net((kind, block))) == want


def test_the_fork_that_is_said_counts():
    data = net((b"Thing", field(204, field(1, 6))))
    assert read(data, "ssd").layer[0].detection_output_param.num_classes == 6
    assert read(data, "caffe-windows").layer[0].roi_pooling_param.pooled_h == 6


def test_the_fork_of_most_layers_reads_what_could_be_another_s():
    both = field(204, field(1, 4))
    assert read(net((b"DetectionOutput", both), (b"PriorBox", field(203, b"")))).layer[0].detection_output_param == (
        pb.DetectionOutputParameter(num_classes=4)
    )


def test_what_caffe_wrote_stays_as_it_is():
    data = net((b"Embed", field(137, field(1, 5))), (b"Scale", field(142, b"")))
    assert fork_wire.translated(data) is data


def test_parameters_come_through():
    blob = pb.BlobProto(data=[1, 2], shape=pb.BlobShape(dim=[2])).SerializeToString()
    (layer,) = read(net((b"Normalize", field(206, field(1, 0)) + field(7, blob)))).layer
    assert list(layer.blobs[0].data) == [1, 2]
    assert not layer.norm_param.across_spatial


def test_a_block_of_a_fork_unknown_does_not_stop_the_rest(tmp_path):
    file = tmp_path / "a.caffemodel"
    file.write_bytes(net((b"Mystery", field(145, field(1, b"\xff\xff"))), (b"ReLU", b"")))
    assert [layer.type for layer in binary.read_net(file).layer] == ["Mystery", "ReLU"]


def test_arrays_that_cannot_be_read_are_not_left_out(tmp_path):
    file = tmp_path / "a.caffemodel"
    file.write_bytes(net((b"Mystery", field(145, field(1, b"\xff\xff")) + field(7, field(5, b"\0" * 6)))))
    with pytest.raises(PrototxtError, match="is not a binary NetParameter, or only a part of one"):
        binary.read_net(file)


@pytest.mark.parametrize("data", [b"\xff", b"\xa2\x06\x7f", b"\x00\x01", b"\x0b"])
def test_what_is_no_message_is_told_as_such(data):
    with pytest.raises(DecodeError):
        fork_wire.readable(data)


def test_every_field_of_a_fork_is_in_the_schema():
    for messages in NUMBERS.values():
        for message, fields in messages.items():
            assert set(fields) <= set(getattr(pb, message).DESCRIPTOR.fields_by_name)


HEADS = {
    "ssd": """
layer { name: "p" type: "Permute" permute_param { order: 0 order: 2 } }
layer { name: "b" type: "PriorBox" prior_box_param { min_size: 30 variance: 0.1 } }
layer { name: "d" type: "AnnotatedData" transform_param { resize_param { height: 300 width: 300 } }
  annotated_data_param { label_map_file: "m" } }
""",
    "faster-rcnn": 'layer { name: "r" type: "ROIPooling" roi_pooling_param { pooled_h: 6 } }',
    "segnet": 'layer { name: "u" type: "Upsample" upsample_param { scale: 2 } }'
    ' layer { name: "l" type: "SoftmaxWithLoss" loss_param { weight_by_label_freqs: true class_weighting: 2 } }',
    "pspnet": 'layer { name: "i" type: "Interp" interp_param { height: 8 width: 8 } }'
    ' layer { name: "n" type: "BN" bn_param { slope_filler { value: 1 } } }',
    "crf-rnn": 'layer { name: "m" type: "MultiStageMeanfield" multi_stage_meanfield_param { num_iterations: 5 } }',
    "sphereface": 'layer { name: "m" type: "MarginInnerProduct" margin_inner_product_param { num_output: 3 } }',
    "mobilenet-yolo": 'layer { name: "y" type: "Yolov3" yolov3_param { num_class: 2 } }',
    "cascade-rcnn": 'layer { name: "s" type: "ScaleRoute" scale_route_param { low_scale: 9 } }'
    ' layer { name: "r" type: "ROIAlign" roi_pooling_param { pooled_h: 7 } }',
    "tsn": 'layer { name: "v" type: "VideoData" video_data_param { new_length: 5 } transform_param { is_flow: true } }',
}


@pytest.mark.parametrize("fork", HEADS)
def test_a_net_of_a_fork_is_written_with_its_numbers_and_read_again(fork):
    made = text.parse(HEADS[fork], pb.NetParameter)
    made.layer[0].blobs.add().data.extend([1, 2])
    written = fork_wire.as_forks(made.SerializeToString())
    assert written != made.SerializeToString()
    assert read(written) == made
    assert read(written, fork) == made


def test_what_is_written_has_the_numbers_that_the_fork_s_tools_look_for():
    made = text.parse('layer { type: "Permute" permute_param { order: 1 } }', pb.NetParameter)
    assert fork_wire.as_forks(made.SerializeToString()) == field(100, field(2, b"Permute") + field(202, field(1, 1)))


def test_a_net_of_r_fcn_is_not_written_as_that_of_a_fork_that_came_later():
    made = text.parse(
        """layer { type: "PSROIPooling" psroi_pooling_param { group_size: 7 } }
        layer { type: "SmoothL1Loss" smooth_l1_loss_param { sigma: 3 } }""",
        pb.NetParameter,
    )
    written = fork_wire.as_forks(made.SerializeToString())
    assert field(10001, field(3, 7)) in written
    assert read(written) == made


def test_a_net_is_written_as_that_of_the_fork_that_is_said():
    made = text.parse('layer { type: "Permute" permute_param { order: 1 } }', pb.NetParameter)
    with fork_wire.saying("caffe-windows"):
        written = fork_wire.as_forks(made.SerializeToString())
        assert field(224, field(1, 1)) in written
        assert read(written) == made


def test_a_net_without_fields_of_forks_stays_as_it_is():
    made = text.parse('layer { type: "ReLU" relu_param { negative_slope: 0.1 } blobs { data: 1 } }', pb.NetParameter)
    assert fork_wire.as_forks(made.SerializeToString()) == made.SerializeToString()
