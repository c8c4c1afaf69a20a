"""What an iteration is said to take of the device's memory."""

import pytest
from support.small_nets import made

from engine.solver import device_memory

BATCH, WIDE = 64, 4096

NET = f"""
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: {BATCH} dim: 8 }} }} }}
layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: {BATCH} }} }} }}
layer {{ name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param {{ num_output: {WIDE} }} }}
layer {{ name: "s" type: "Sigmoid" bottom: "a" top: "a" }}
layer {{ name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param {{ num_output: 3 }} }}
layer {{ name: "l" type: "SoftmaxWithLoss" bottom: "b" bottom: "t" top: "l" }}
"""
PARAMETERS = 4 * (8 * WIDE + WIDE + 3 * WIDE + 3)


def test_parameters_history_and_data_are_counted_and_what_lies_between_holds_what_backward_needs():
    need = device_memory.of_training(made(NET))
    assert (need.parameters, need.history, need.data) == (PARAMETERS, PARAMETERS, 4 * BATCH * 9)
    assert 4 * BATCH * WIDE <= need.working <= 6 * 4 * BATCH * WIDE


@pytest.mark.parametrize(("there", "warned"), [(1000, True), (10**12, False)])
def test_what_is_more_than_there_is_is_a_warning_that_says_what_would_do(there, warned, caplog, monkeypatch):
    monkeypatch.setattr(device_memory, "available", lambda: there)
    device_memory.report(made(NET), train=False)
    assert ("That is more than the 1000 B available. What takes less: a smaller batch_size" in caplog.text) == warned
