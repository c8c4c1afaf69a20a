"""Which layers run backward, and which bottoms get a gradient."""

from support.small_nets import INPUT, LABELS, SMALL, ip, loss, made

from engine.net.needs_backward import NeedsBackward


def test_backward_reaches_learned_parameters_and_stops_there():
    net = made(SMALL)
    assert net.needs_backward.layers == (False, False, True, True, True)
    assert net.needs_backward.bottoms == ((), (), (False,), (True,), (True, False))


def test_backward_stops_above_what_is_not_learned():
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    net = made(INPUT + LABELS + ip("a", "x", "a", 4, frozen) + ip("b", "a", "b", 3) + loss("b"))
    assert net.needs_backward.layers == (False, False, False, True, True)
    assert net.needs_backward.bottoms[3] == (False,)


def test_backward_skips_what_no_loss_needs():
    net = made(SMALL + ip("side", "a", "side", 2))
    assert not net.needs_backward.layers[net.layer_names.index("side")]


def test_force_backward_reaches_the_inputs_but_not_labels():
    net = made("force_backward: true\n" + SMALL)
    assert net.needs_backward.bottoms == ((), (), (True,), (True,), (True, False))


def test_propagate_down_cuts_what_lies_above():
    stopped = SMALL.replace('bottom: "a"', 'bottom: "a" propagate_down: false')
    net = made(stopped)
    assert net.needs_backward == NeedsBackward(
        (False, False, False, True, True), ((), (), (False,), (False,), (True, False))
    )
