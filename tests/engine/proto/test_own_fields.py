"""Fields of layers from outside of the tree become fields of Caffe's schema."""

from pathlib import Path

import pytest
from google.protobuf import descriptor_pool, text_format
from google.protobuf.message_factory import GetMessageClass

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import own_fields
from engine.proto.layer_modules import LayerModule

SCHEMA = """syntax = "proto2";
/* of two
   kinds */
message MineParameter {
  enum Kind { HARD = 0; SOFT = 1; }
  message Part { required string of = 1; }
  optional float alpha = 1 [default = -1.5e-3];  // times x
  optional Kind kind = 2 [default = SOFT];
  repeated uint32 sizes = 3 [packed = true];
  optional FillerParameter weight_filler = 4;
  repeated Part part = 5;
  optional string word = 6 [default = "a // b"];
  reserved 7;
}
extend LayerParameter { optional MineParameter mine_param = 70001; }
extend caffe.SolverParameter { optional int64 mine_every = 70001 [default = 0x10]; }
"""


def extended(schema, pool=None):
    module = LayerModule("mine", Path("mine.py"), Path(), ("Mine",), schema, 5)
    wire = own_fields.extended(pb.DESCRIPTOR.serialized_pb, [module])
    (pool or descriptor_pool.DescriptorPool()).AddSerializedFile(wire)
    return wire


@pytest.fixture(scope="module")
def classes():
    pool = descriptor_pool.DescriptorPool()
    extended(SCHEMA, pool)
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))
        for name in pb.DESCRIPTOR.message_types_by_name
    }


def test_they_are_fields_as_caffes_own(classes):
    layer = text_format.Parse(
        'type: "Mine" mine_param { alpha: 2 sizes: 3 sizes: 4 weight_filler { type: "xavier" } part { of: "it" } }',
        classes["LayerParameter"](),
    )
    p = layer.mine_param
    assert (p.alpha, list(p.sizes), p.weight_filler.type, p.part[0].of) == (2, [3, 4], "xavier", "it")
    assert classes["LayerParameter"].FromString(layer.SerializeToString()) == layer


def test_they_have_their_defaults(classes):
    p = classes["LayerParameter"]().mine_param
    assert p.alpha == pytest.approx(-1.5e-3)
    assert (p.kind, p.word, classes["SolverParameter"]().mine_every) == (1, "a // b", 16)


def test_who_does_not_know_them_reads_the_rest(classes):
    layer = classes["LayerParameter"](name="x", type="Mine", mine_param={"alpha": 2})
    known = pb.LayerParameter.FromString(layer.SerializeToString())
    assert (known.name, known.SerializeToString()) == ("x", layer.SerializeToString())


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("extend LayerParameter { optional Mine m = 70001; }", 'mine.py:5: SCHEMA: "Mine" is not a type'),
        (
            "\nextend LayerParameter { optional float m = 147; }",
            "mine.py:6: .* m = 147: take a number from 70000 to 99999",
        ),
        ("extend LayerParameter { optional float name = 70001; }", "LayerParameter has a field name already"),
        ("extend LayerParameter { required float m = 70001; }", "cannot be required"),
        ("extend Layer { optional float m = 70001; }", '"Layer" is not a message of Caffe'),
        ("message LayerParameter { }", '"LayerParameter" is there already'),
        ("message M { optional float m = 1 [default = much]; }", '"much" cannot be the default'),
        ("message M { optional float m = one; }", '"one" is not a whole number'),
        ("message M { optional float m = 1 }", 'stands where the field m ends: a ";" is missing'),
        ("message M { map<int32, float> m = 1; }", '"map" is not allowed here'),
        ("message M { optional float m = 1;", "ends too early"),
        ("message M { optional float m = 1; optional float n = 1; }", "SCHEMA cannot be used"),
        ("service S { }", '"service" is not allowed here'),
        ("enum E { }", "SCHEMA cannot be used"),
        ("message M {" * 40, "nested too deep"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(schema, said):
    with pytest.raises(PrototxtError, match=said):
        extended(schema)
