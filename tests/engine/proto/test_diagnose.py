import time
from pathlib import Path

import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import diagnose, text

LAYER = """layer {
  name: "conv"
  type: "Convolution"
  convolution_param {
    %s
  }
}
"""


def said(written, message_class=pb.NetParameter):
    with pytest.raises(PrototxtError) as caught:
        text.parse(written, message_class, "net.prototxt")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("kernal_size: 3", '"kernal_size" is not a field of convolution_param. Nearest: kernel_size.'),
        ("num_output: 10.5", '"num_output" is a whole number from 0 to 4294967295, and 10.5 was found.'),
        ("num_output: [3, 4]", '"num_output" takes one value, and a list was found. Write num_output: 1.'),
        ("pad: -1", '"pad" is a whole number from 0 to 4294967295, and -1 was found.'),
        ("axis: 99999999999", '"axis" is a whole number from -2147483648 to 2147483647, and 99999999999 was found.'),
        ("num_output: 08", '"num_output" is a whole number from 0 to 4294967295, and 08 was found.'),
        ("bias_term: yes", '"bias_term" is true or false, and yes was found.'),
        ("weight_filler { std: small }", '"std" is a number, and small was found.'),
        ("weight_filler { std: '0.1' }", "\"std\" is a number, and '0.1' was found."),
        ("weight_filler { type: xavier }", '"type" is text and needs quotation marks: type: "xavier".'),
        ("weight_filler: 3", '"weight_filler" is a block and needs braces: weight_filler { … }.'),
        ('weight_filler { type: "xavier }', "the quotation mark before xavier } is not closed in its line."),
        ('weight_filler { type: "\\x" }', '"type", "\\x", has an invalid backslash sequence.'),
        ("num_output 3", '"num_output" needs a colon and a value, num_output: 1, and "3" was found.'),
        ("num_output { }", '"num_output" needs a colon and a value, num_output: 1, and "{" was found.'),
        ("num_output: { }", '"num_output" is not a block. Write num_output: 1.'),
        ("num_output:", '"num_output" has no value. Write num_output: 1.'),
        ("num_output: 3 num_output: 4", '"num_output" is given a second time in this convolution_param block'),
        ("kernel_size: [1 2]", 'the list of "kernel_size" is not closed. Write kernel_size: [ …, … ].'),
        ("engine: CUDA", '"engine" is one of DEFAULT, CAFFE, CUDNN, MKL2017, MKLDNN, and CUDA was found.'),
        ('engine: "CUDNN"', '"engine" is CUDNN without quotation marks.'),
        ('"three"', '"three" stands alone'),
        ("@", '"@" was found where a field must begin.'),
        ("{ }", '"{" opens a block that has no name.'),
    ],
)
def test_the_message_names_file_line_and_field(written, complaint):
    message = said(LAYER % written)
    assert message.startswith("net.prototxt:5: ")
    assert complaint in message


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("base_lr: 1", "It is one of a solver"),
        (
            'layer { rotate_roi_pooling_param { } name: "a" }',
            "It belongs to RRPN (mjq11302010031/RRPN), a fork",
        ),
        ("layer { image_data_param { cache: true } }", "It belongs to NVIDIA's Caffe (NVIDIA/caffe), a fork"),
        ("layer { pooling_param { pool: LOWRES } }", "LOWRES belongs to NormFace"),
        ("layer { num_output: 3 }", "inside one of its blocks: convolution_param, embed_param, inner_product_param"),
        ('layers { type: "ReLU" }', '"ReLU" is a type of "layer"; a "layers" block (old form) has types such as'),
        ("layers { type: CONVOLUTIN }", "Nearest: CONVOLUTION."),
        ("layers { batch_norm_param { } }", 'It is one of "layer": the two forms do not mix inside a block.'),
        ("layer { dropout_param { ratio: 0.5 } }", "dropout_param, whose fields are: dropout_ratio, scale_train"),
        ("layer { droput_param { } }", "Nearest: dropout_param"),
        ("layer { name: 'a' > }", '">" cannot close what "{" opened in line 1.'),
        ("layer { } }", '"}" closes nothing: there is one too many, here or further up.'),
    ],
)
def test_the_message_says_what_would_do(written, complaint):
    assert complaint in said(written)


def test_a_net_read_as_a_solver_is_suspected():
    assert "is not a field of a solver. It is one of a net" in said('layer { name: "a" }', pb.SolverParameter)


@pytest.mark.parametrize(
    ("written", "line", "block"),
    [
        ('layer {\n  name: "a"\nlayer {\n  name: "b"\n}\n', 1, "layer"),
        ('layer {\n  name: "a"\n}\nlayer {\n  name: "b"\n', 4, "layer"),
        ("layer {\n  pooling_param {\n    stride: 1\n}\nlayer {\n}\n", 2, "pooling_param"),
        ("layer {\n  pooling_param {\n    stride: 1\n  }\nlayer {\n}\n", 1, "layer"),
        ('layer {\n  top: "a"\n  param { lr_mult: 1\n  param { lr_mult: 2 }\n}\n', 3, "param"),
        ("layer { pooling_param { stride: 1 }", 1, "layer"),
        ("layer: <\n  pooling_param <\n    stride: 1\n>\n", 2, "pooling_param"),
    ],
)
def test_an_unclosed_block_is_named_with_the_line_that_opens_it(written, line, block):
    assert said(written).startswith(f'net.prototxt:{line}: the "{block}" block that ')


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent / "upgrade" / "recorded").iterdir()), ids=lambda file: file.name
)
def test_nothing_is_found_in_a_file_that_parses(file):
    message_class = pb.SolverParameter if "solver" in file.name else pb.NetParameter
    assert not diagnose.find(file.read_text(encoding="utf-8"), message_class).problems


def test_all_fields_of_forks_are_said_at_once():
    with pytest.raises(PrototxtError) as caught:
        text.parse(
            """layer { name: "a" convolution_param { coeff: 2 num_output: 3 } }
            layer { name: "b" nms_param { a: 1 b { c: "x" "y" d: [1, 2] } } nms_param: < > zzz: 1 coeff: 1 }""",
            pb.NetParameter,
            "net",
        )
    said = str(caught.value).splitlines()
    assert [line.partition(" is not")[0] for line in said] == [
        'net:1: "coeff"',
        'net:2: "nms_param"',
        'net:2: "zzz"',
        'net:2: "coeff"',
    ]


FORKED = """layer {
  name: "data" type: "CPMData" cpm_transform_param { stride: 8 }
}
layer { name: "conv" type: "Convolution" convolution_param { num_output: 3 tf_pad: VALID
  coeff: 2 } }
layer {
  name: "slip" type: "Convolutoin" bottem: "data"
}
layer { name: "again" type: "CPMData" pooling_param { pool: LOWRES } }"""


def test_types_are_said_with_the_fields_in_the_order_of_the_lines():
    lines = said(FORKED).splitlines()
    assert [line.removeprefix("net.prototxt:")[:19] for line in lines] == [
        '1: layer "data" (CP',
        '2: "cpm_transform_p',
        '4: layer "conv" (Co',
        '5: "coeff" is not a',
        '6: layer "slip" (Co',
        '7: "bottem" is not ',
        '9: "pool" is one of',
    ]
    assert "OpenPose" in lines[0]
    assert "Did you mean Convolution" in lines[4]


def test_types_of_2014_of_forks_are_said_at_once():
    lines = said("""layers { name: "a" type: SELU }
    layers { name: "b" type: MAT_READ }
    layers { name: "c" type: RELU
      droput_param { } }
    layers { name: "d" type: VOXEL_SOFTMAX }""").splitlines()
    assert [line.partition(" ")[0] for line in lines] == [f"net.prototxt:{n}:" for n in (1, 2, 4, 5)]
    assert "(MatRead): layer type" in lines[1]


def test_layers_in_a_list_are_read_too():
    assert said('layer: [{ type: "CPMData" coeff: 1 }, { name: "b" }]').startswith('net.prototxt:1: "coeff" is not')


def test_other_mistakes_come_after_those():
    assert said("layer { zzz: 1 } layer { name: 3 }").count("\n") == 0
    assert "zzz" in said("layer { zzz: 1 } layer { name: 3 }")


def test_words_for_a_field_that_every_layer_has_are_found_once(monkeypatch):
    asked = []
    words = diagnose.wording.unknown_field
    monkeypatch.setattr(diagnose.wording, "unknown_field", lambda *args: asked.append(args) or words(*args))
    assert said("layer { zzz: 1 }\n" * 9).count("\n") == 0
    assert len(asked) == 1


def test_a_field_of_an_outer_block_in_every_layer_is_told_in_time():
    began = time.process_time()
    assert said("layer { convolution_param { name: 'a' } }\n" * 8000).count("\n") == 0
    assert time.process_time() - began < 20, "it takes a second; minutes if all braces are counted for each"


def test_a_text_of_nothing_but_mistakes_is_given_up():
    fields = " ".join(f"zzz{i}: 1" for i in range(10 * diagnose.MOST))
    assert len(said(f"layer {{ {fields} }}").splitlines()) == diagnose.MOST


def test_a_fork_s_block_that_does_not_end_is_told():
    with pytest.raises(PrototxtError, match='"nms_param" is not a field'):
        text.parse('layer { nms_param { a: "', pb.NetParameter)
