from engine.proto import forks, layer_names


def test_no_layer_of_caffes_own_is_given_to_a_fork():
    assert not forks.TYPES.keys() & layer_names.BVLC
