"""The parts of a model, and the prototxts generated from them: train_val for the solver, deploy for use."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from google.protobuf.message import Message

WIDTH = 120
"""Columns per line: a message that fits is written on one line."""

LEARNT = ("param", "weight_filler", "bias_filler", "filler")
"""Layer fields that are used only in training."""

Data = Callable[[str], list[caffe_pb2.LayerParameter]]
Top = Any


@dataclass(frozen=True)
class Model:
    """`about`: the first comment in the files. `body`: adds the layers after `net.data`, and returns the scores.

    `shape`: that of the deploy net's input. `data`: the layers that make `data` and `label` for training and tests.
    `losses`: adds the layers after the scores for training and tests; `answer`: those of the deploy net.
    """

    name: str
    about: str
    body: Callable[[caffe.NetSpec], Top]
    shape: tuple[int, ...]
    data: Sequence[caffe_pb2.LayerParameter]
    losses: Callable[[caffe.NetSpec, Top], None]
    answer: Callable[[caffe.NetSpec, Top], None]


def files(model: Model) -> dict[str, str]:
    """The prototxts, by name."""
    return {"train_val.prototxt": _text(model, train_val(model)), "deploy.prototxt": _text(model, deploy(model))}


def train_val(model: Model) -> caffe_pb2.NetParameter:
    """The net with its data and losses."""
    net = caffe.NetSpec()
    net.data, net.label = L.Input(ntop=2)
    model.losses(net, model.body(net))
    net_parameter = net.to_proto()
    assert net_parameter.layer[0].type == "Input"
    return caffe_pb2.NetParameter(name=model.name, layer=[*model.data, *net_parameter.layer[1:]])


def deploy(model: Model) -> caffe_pb2.NetParameter:
    """The deploy net: pictures in, scores out, without the fields used only in training."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": list(model.shape)})
    model.answer(net, model.body(net))
    net_parameter = net.to_proto()
    net_parameter.name = model.name
    for layer in net_parameter.layer:
        _strip(layer)
    return net_parameter


def classify(net: caffe.NetSpec, score: Top) -> None:
    """Adds the softmax loss, and the accuracy in tests."""
    net.accuracy = L.Accuracy(score, net.label, include={"phase": caffe.TEST})
    net.loss = L.SoftmaxWithLoss(score, net.label)


def classify_top5(net: caffe.NetSpec, score: Top) -> None:
    """Like `classify`, and adds the top-5 accuracy in tests."""
    classify(net, score)
    net.accuracy_top5 = L.Accuracy(score, net.label, top_k=5, include={"phase": caffe.TEST})


def probabilities(net: caffe.NetSpec, score: Top) -> None:
    """Adds the probability of each class."""
    net.prob = L.Softmax(score)


def _strip(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name in LEARNT:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                _strip(each)


def _text(model: Model, net: caffe_pb2.NetParameter) -> str:
    head = f"# {model.about}\n# Made by scripts/gen_models.\n"
    return head + "".join(f"{line}\n" for line in _lines(net))


def _lines(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        for each in value if field.is_repeated else (value,):
            single = type(message)(**{field.name: [each] if field.is_repeated else each})
            line = text_format.MessageToString(single, as_one_line=True)
            if field.message_type is None or (field.name != "layer" and len(line) < WIDTH - 2):
                yield line
            else:
                yield f"{field.name} {{"
                yield from (f"  {inner}" for inner in _lines(each))
                yield "}"
