"""Labels that the net computes, or that its caller gives: told, with the layer."""

import jax
import numpy as np
import pytest
from support.small_nets import INPUT, LABELS, X, loss, made

from engine.errors import LayerError

PAIRS = INPUT.replace('"x"', '"yy"').replace("dim: 3", "dim: 2")
SLICED = PAIRS + 'layer { name: "s" type: "Slice" bottom: "yy" top: "t" top: "z" slice_param { axis: 1 } }'
ACCURACY = 'layer { name: "a" type: "Accuracy" bottom: "x" bottom: "t" top: "a" }'


def check(prototxt, **inputs):
    net = made(prototxt)
    net.check_labels(jax.jit(net.forward)(net.init(0), {"x": X} | inputs).labels)


@pytest.mark.parametrize("label", [3, 7, -1, np.nan, np.inf])
@pytest.mark.parametrize("inside", [True, False], ids=["computed", "given"])
def test_a_label_that_is_no_class_is_told_with_the_layer(label, inside):
    labels = {"yy": np.float32([[1, 0], [label, 0]])} if inside else {"t": np.float32([1, label])}
    with pytest.raises(LayerError) as error:
        check(INPUT + (SLICED if inside else LABELS) + loss("x"), **labels)
    assert str(error.value) == (
        f'layer "loss" (SoftmaxWithLoss): label {label:g} in "t"; the net has 3 classes, 0 to 2. '
        "Correct the labels, or num_output of the scoring layer."
    )


def test_those_that_are_classes_pass():
    check(INPUT + SLICED + loss("x"), yy=np.float32([[2, 9], [0, -9]]))
    check(INPUT + LABELS + loss("x", more="loss_param { ignore_label: 255 }"), t=np.float32([255, 2]))


def test_one_that_the_loss_ignores_and_accuracy_counts_names_accuracys_field():
    says = r'layer "loss" .*, and this layer counts it, .* it accuracy_param \{ ignore_label: 255 \} too'
    with pytest.raises(LayerError, match=r'^layer "a" \(Accuracy\): label .* ' + says):
        check(INPUT + LABELS + loss("x", more="loss_param { ignore_label: 255 }") + ACCURACY, t=np.float32([255, 2]))


def test_a_number_that_is_no_row_is_told_too():
    embed = 'layer { name: "e" type: "Embed" bottom: "t" top: "e" embed_param { input_dim: 9 num_output: 2 } }'
    with pytest.raises(LayerError, match=r'label 9 in "t".* has 9 classes.*Correct the indices, or input_dim'):
        check(INPUT + LABELS + embed, t=np.float32([9, 2]))


def test_what_a_data_layer_has_checked_is_not_looked_at():
    data = 'layer { name: "d" type: "DummyData" top: "t" dummy_data_param { shape { dim: 2 } } }'
    assert made(INPUT + data + loss("x")).unchecked_labels == []
