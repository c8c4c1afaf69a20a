import logging
import math
import os

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import paths, text

NET = """
name: "small"
layer {
  name: "ip"
  type: "InnerProduct"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
"""


def power(**values):
    return pb.PowerParameter(**values)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("scale: 1.", power(scale=1)),
        ("scale: .5", power(scale=0.5)),
        ("scale: -.5", power(scale=-0.5)),
        ("scale: 1e-3f", power(scale=1e-3)),
        ("scale: 2f", power(scale=2)),
        ("scale: 1E+2", power(scale=100)),
        ("scale: inf", power(scale=math.inf)),
        ("scale: -inf", power(scale=-math.inf)),
        ("scale: - 5", power(scale=-5)),
        ("scale: -\n# five\n5 shift: - inf", power(scale=-5, shift=-math.inf)),
        ("power: 2, scale: 3; shift: 4", power(power=2, scale=3, shift=4)),
        ("power:2 # two\n#scale: 5\n", power(power=2)),
        ("power: 2\r\nscale: 3\r\n", power(power=2, scale=3)),
    ],
)
def test_numbers_and_separators_that_caffe_accepts(written, meant):
    assert text.parse(written, pb.PowerParameter) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pooling_param < kernel_size: 3 >", pb.LayerParameter(pooling_param=pb.PoolingParameter(kernel_size=3))),
        ("pooling_param: { kernel_size: 0x10 }", pb.LayerParameter(pooling_param=pb.PoolingParameter(kernel_size=16))),
        ("pooling_param { kernel_size: 010 }", pb.LayerParameter(pooling_param=pb.PoolingParameter(kernel_size=8))),
        ("pooling_param { pool: 1 }", pb.LayerParameter(pooling_param=pb.PoolingParameter(pool=1))),
        ("top: ['a', \"b\"]", pb.LayerParameter(top=["a", "b"])),
        ('name: "long " "name"', pb.LayerParameter(name="long name")),
        ("type: 'ReLU' name: 'it\\'s'", pb.LayerParameter(type="ReLU", name="it's")),
        ("propagate_down: [true, 0, t]", pb.LayerParameter(propagate_down=[True, False, True])),
    ],
)
def test_forms_that_caffe_accepts(written, meant):
    assert text.parse(written, pb.LayerParameter) == meant


def test_a_file_with_a_byte_order_mark_and_latin_1_comments_is_read(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_bytes(b'\xef\xbb\xbfname: "net"  # caf\xe9\n')
    assert text.read(file, pb.NetParameter).name == "net"


@pytest.mark.parametrize("written", [b'"caf\xe9.h5"', b'"caf\\351.h5"', b"'caf\\xe9' \".h5\""])
def test_a_file_name_that_is_no_utf_8_is_read_and_found(tmp_path, written):
    solver = tmp_path / "solver.prototxt"
    solver.write_bytes(b"net: " + written + b" # caf\xe9\n")
    read = text.read(solver, pb.SolverParameter)
    beside = tmp_path / os.fsdecode(b"caf\xe9.h5")
    beside.touch()
    assert paths.resolve(read.net, solver) == beside
    assert text.format(read) == 'net: "caf\\351.h5"\n'


def test_values_of_other_alphabets_are_kept(tmp_path):
    file = tmp_path / "net.prototxt"
    text.write(file, pb.NetParameter(name="сеть 网络"))
    assert text.read(file, pb.NetParameter).name == "сеть 网络"


def read_bytes(tmp_path, data):
    file = tmp_path / "net.prototxt"
    file.write_bytes(data)
    return text.read(file, pb.NetParameter)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"#" * (text.LARGEST + 1), "at most 16,777,216 are read"),
        (
            b'input: "x" input_dim: 1\nlayers { layer { name: "r" type: "relu" } bottom: "x" top: "x" }\nbogus: 1',
            "prototxt:3: .*bogus",
        ),
        (b"layers { type: \xe9NNER }", r'prototxt:1: "type" is one of NONE, .* and \\xe9 was found'),
        (b"\n\x05LeNet\xa2\x06\x00", "binary data"),
        ('name: "net"'.encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, data, said):
    with pytest.raises(PrototxtError, match=said):
        read_bytes(tmp_path, data)


def test_control_characters_of_a_file_do_not_reach_the_terminal():
    with pytest.raises(PrototxtError) as caught:
        text.parse("layer { \x1b[31m", pb.NetParameter)
    assert str(caught.value).isprintable()


def test_how_much_memory_tsn_gives_cudnn_is_read_and_has_no_effect():
    assert text.parse("max_iter: 3 richness: 200", pb.SolverParameter).max_iter == 3


def test_a_missing_file_is_said_with_what_is_there(tmp_path):
    (tmp_path / "solver.prototxt").write_text("base_lr: 1")
    with pytest.raises(PrototxtError, match=r"solvr.prototxt: no such file\. In .*: solver\.prototxt"):
        text.read_solver(tmp_path / "solvr.prototxt")


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(PrototxtError, match="Nor is there a folder"):
        text.read_solver(tmp_path / "nowhere" / "solver.prototxt")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(PrototxtError, match="is a folder"):
        text.read_net(tmp_path)


def test_a_file_that_may_not_be_read_is_said(tmp_path):
    file = tmp_path / "net.prototxt"
    file.symlink_to(file)
    with pytest.raises(PrototxtError, match="cannot be read"):
        text.read_net(file)


def test_fields_that_must_be_given_are_asked_for_with_the_layers_line():
    with pytest.raises(PrototxtError, match=r"^net:2: clip_param\.max must be given"):
        text.parse('layer { name: "a" }\nlayer { clip_param { min: 0 } }', pb.NetParameter, "net")


def test_layer_lines_are_in_the_files_order(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(
        'name: "net" # layer {\nlayer { name: "a" convolution_param { weight_filler { type: "x" } } }\n\n'
        "layer {\n  type: 'ReLU' name: 'b' }\nlayers { layer { name: \"c\" } }\nlayer: < type: \"ReLU\" >\n"
    )
    assert text.layer_lines(file) == [("a", 2), ("b", 4), ("c", 6), ("", 7)]


def test_layer_lines_of_a_solver_are_those_of_its_own_nets(tmp_path):
    file = tmp_path / "solver.prototxt"
    file.write_text('base_lr: 1\nnet_param {\n  name: "net"\n  layer { name: "a" }\n  layer { name: "a" } }\n')
    assert text.layer_lines(file) == [("a", 4), ("a", 5)]


def test_layer_lines_of_a_solver_leave_out_what_two_of_its_nets_have(tmp_path):
    file = tmp_path / "solver.prototxt"
    file.write_text(
        'train_net_param { layer { name: "a" }\n layer { name: "b" } }\ntest_net_param { layer { name: "a" } }\n'
    )
    assert text.layer_lines(file) == [("b", 2)]


def test_layer_lines_of_a_broken_file_are_those_up_to_the_break(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text('layer { name: "a" }\nlayer { name: "b"')
    assert text.layer_lines(file) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("value", "printed"),
    [  # as C++ protobuf prints them
        (0.0, "0"),
        (1.0, "1"),
        (0.01, "0.01"),
        (0.00390625, "0.00390625"),
        (1 / 255, "0.00392156886"),
        (5e-5, "5e-05"),
        (1e6, "1e+06"),
        (100000.0, "100000"),
        (123456792.0, "123456792"),
        (-2.5, "-2.5"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
        (3.4028234663852886e38, "3.40282347e+38"),
        (1e-45, "1.4013e-45"),
    ],
)
def test_floats_are_printed_as_caffe_prints_them(value, printed):
    assert text.format(power(scale=value)) == f"scale: {printed}\n"


def test_doubles_are_printed_in_full():
    assert text.format(pb.BlobProto(double_data=[0.1, 1 / 3])) == (
        "double_data: 0.1\ndouble_data: 0.33333333333333331\n"
    )


def test_messages_are_printed_as_caffe_prints_them():
    net = text.parse(
        NET + 'layer { type: "Data" data_param { backend: LMDB } include { phase: TEST } }', pb.NetParameter
    )
    assert text.format(net) == (
        'name: "small"\n'
        "layer {\n"
        '  name: "ip"\n'
        '  type: "InnerProduct"\n'
        "  inner_product_param {\n"
        "    num_output: 10\n"
        "    weight_filler {\n"
        '      type: "xavier"\n'
        "    }\n"
        "  }\n"
        "}\n"
        "layer {\n"
        '  type: "Data"\n'
        "  include {\n"
        "    phase: TEST\n"
        "  }\n"
        "  data_param {\n"
        "    backend: LMDB\n"
        "  }\n"
        "}\n"
    )


def test_strings_and_bytes_are_escaped():
    assert text.format(pb.Datum(data=b'a"\n\x00\xff')) == 'data: "a\\"\\n\\000\\377"\n'


def test_notices_of_an_upgrade_go_to_the_log(tmp_path, caplog):
    file = tmp_path / "net.prototxt"
    file.write_text('layers { name: "r" type: RELU bottom: "x" top: "x" }')
    with caplog.at_level(logging.WARNING):
        net = text.read_net(file)
    assert net.layer[0].type == "ReLU"
    assert f"{file}: is in the form of 2014" in caplog.text


def test_an_upgrade_that_fails_names_the_file(tmp_path):
    file = tmp_path / "solver.prototxt"
    file.write_text('type: "SGD" solver_type: ADAM')
    with pytest.raises(PrototxtError, match=f"^{file}: .*solver_type"):
        text.read_solver(file)


def values(field):
    """A strategy for values that `field` takes."""
    if field.message_type is not None:
        return messages(field.message_type)
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return {
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
        FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
        FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
        FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    }[field.type]


@st.composite
def messages(draw, descriptor):
    """A message with a few of its fields set."""
    message = getattr(pb, descriptor.name)()
    required = [field for field in descriptor.fields if field.is_required]
    chosen = draw(st.lists(st.sampled_from(list(descriptor.fields)), max_size=4, unique_by=lambda field: field.name))
    for field in {field.name: field for field in [*required, *chosen]}.values():
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(values(field), max_size=2)))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(draw(values(field)))
        else:
            setattr(message, field.name, draw(values(field)))
    return message


@settings(max_examples=60, deadline=None)
@given(messages(pb.NetParameter.DESCRIPTOR))
def test_printing_and_reading_gives_the_same_net(net):
    assert text.parse(text.format(net), pb.NetParameter) == net


@settings(max_examples=40, deadline=None)
@given(messages(pb.SolverParameter.DESCRIPTOR))
def test_printing_and_reading_gives_the_same_solver(solver):
    assert text.parse(text.format(solver), pb.SolverParameter) == solver


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_net_is_read_or_refused_with_the_file_named(data):
    start = data.draw(st.integers(0, len(NET)))
    stop = data.draw(st.integers(start, min(start + 6, len(NET))))
    put = data.draw(st.text(st.sampled_from("{}<>[]:;,\"'#\\\n 0x.-e_aN\x00é"), max_size=4))
    damaged = NET[:start] + put + NET[stop:]
    try:
        text.parse(damaged, pb.NetParameter, "damaged.prototxt")
    except PrototxtError as error:
        assert str(error).startswith("damaged.prototxt:")  # noqa: PT017


def test_an_escaped_question_mark_is_one_as_in_c():
    assert text.parse(r'name: "what\?" "\\?"', pb.NetParameter).name == r"what?\?"
