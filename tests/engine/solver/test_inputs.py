"""What a net is given, batch by batch."""

import jax
import numpy as np
import pytest
from support.small_nets import SMALL, X, made

from engine.data import source
from engine.data.datum import raw
from engine.data.lmdb_writer import LMDBWriter
from engine.devices.data_parallel import DataParallel
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.solver.inputs import Batches

DUMMY = """
layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 dim: 3 }
  data_filler { type: "uniform" } } }
"""


def test_input_layers_get_zeros_until_their_values_are_set():
    with Batches(made(SMALL), seed=0) as batches:
        assert {name: (value.shape, value.any()) for name, value in batches.next().items()} == {
            "x": ((2, 3), False),
            "t": ((2,), False),
        }
        batches.values["x"][...] = X
        np.testing.assert_array_equal(batches.next()["x"], X)


def test_a_batch_that_was_handed_out_does_not_change_any_more():
    with Batches(made(SMALL), seed=0) as batches:
        batch = batches.next()
        batches.values["x"][...] = X
        assert not batch["x"].any()


def test_a_net_without_sources_has_no_position_in_data():
    with Batches(made(SMALL, pb.TEST), seed=0) as batches:
        assert batches.state() == {}
        batches.restore({"gone": {}})


def test_the_position_in_the_data_is_kept_and_gone_back_to():
    with Batches(made(DUMMY), seed=3) as batches:
        batches.next()
        position = batches.state()
        second = np.array(batches.next()["d"])
        batches.next()
        batches.restore(position)
        np.testing.assert_array_equal(batches.next()["d"], second)


def test_batches_of_one_item_can_be_looked_at_ahead():
    with Batches(made(DUMMY), seed=3) as several, Batches(made(DUMMY.replace("dim: 2", "dim: 1")), seed=3) as alone:
        several.next()
        alone.next()
        assert several.ahead() is None
        ahead = np.array(alone.ahead()["d"])
        np.testing.assert_array_equal(alone.next()["d"], ahead)


def test_two_seeds_draw_different_batches():
    with Batches(made(DUMMY), seed=3) as a, Batches(made(DUMMY), seed=4) as b:
        assert (np.array(a.next()["d"]) != np.array(b.next()["d"])).any()


def test_it_may_be_closed_twice():
    batches = Batches(made(DUMMY), seed=0)
    batches.next()
    batches.close()
    batches.close()


def test_where_the_device_is_not_the_host_it_is_given_bytes_to_finish(tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(256, size=(5, 3, 6, 6), dtype=np.uint8)
    with LMDBWriter(tmp_path / "db") as db:
        for i, picture in enumerate(pictures):
            db.put(b"%d" % i, raw(picture, i).SerializeToString())
    net = made(f"""
      layer {{ name: "d" type: "Data" top: "x" top: "t"
        data_param {{ source: "{tmp_path}/db" batch_size: 4 backend: LMDB }}
        transform_param {{ crop_size: 4 mirror: true scale: 0.5 mean_value: 100 }} }}
    """)
    with Batches(net, seed=0) as batches:
        want = batches.next()
    given = []

    class Seen(DataParallel):
        def place(self, batches):
            given.extend(batches)
            return super().place(batches)

    monkeypatch.setattr(source, "WORTH", 0)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(jax, "default_backend", lambda: "gpu")
        batches = Batches(net, seed=0, parallel=Seen())
    with batches:
        got = batches.next()
    assert given[0]["x"].values.dtype == np.uint8
    np.testing.assert_array_equal(got["x"], want["x"])
    np.testing.assert_array_equal(got["t"], want["t"])


def test_pictures_that_are_labels_stay_where_they_are_looked_at(tmp_path, monkeypatch):
    with LMDBWriter(tmp_path / "db") as db:
        for i in range(2):
            db.put(b"%d" % i, raw(np.full((1, 2, 2), 7 * i, np.uint8), 0).SerializeToString())
    net = made(f"""
      layer {{ name: "d" type: "Data" top: "t" data_param {{ source: "{tmp_path}/db" batch_size: 2 backend: LMDB }} }}
      layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ dim: [2, 3, 2, 2] }} }} }}
      layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "loss" }}
    """)
    monkeypatch.setattr(source, "WORTH", 0)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(jax, "default_backend", lambda: "gpu")
        batches = Batches(net, seed=0)
    with batches, pytest.raises(DataError, match="label 7"):
        batches.next()
