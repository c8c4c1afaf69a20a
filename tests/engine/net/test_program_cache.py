"""Programs on the disk: what names them, what is believed, what stays."""

import os
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import pytest
from support.small_nets import SMALL, made

from engine.layers.activation import ReLU
from engine.net import program_cache
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.solver import updates

X = np.arange(3, dtype=np.float32)


def program():
    return jax.jit(lambda x: {"twice": 2 * x}).lower(X).compile()


def key(parts=("a",), *args):
    return program_cache.key(program_cache.digest(parts), args or (X,), None)


def test_what_was_saved_is_loaded(folder):
    program_cache.save(key(), program())
    np.testing.assert_array_equal(program_cache.load(key())(X)["twice"], 2 * X)
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_programs_of_one_text_and_other_names_are_kept_each(folder):
    for name in "ab":
        made = program_cache.compiled(lambda x: {"twice": 2 * x}, name, (X,))
        for program in (made, program_cache.load(name)):
            np.testing.assert_array_equal(program(X)["twice"], 2 * X)
    assert {path.name for path in folder.parent.iterdir()} == {"programs"}  # and JAX keeps no second one


def test_the_log_tells_of_one_that_cannot_be_written_down(folder, log):
    folder.mkdir(mode=0o700)
    (folder / "a.program").mkdir()  # a file cannot take its place
    program_cache.save("a", program())
    assert "A compiled program is not kept for the next run: " in log.text
    assert "a.program" in log.text


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:40] + b"?" + data[41:], lambda _: b""])
def test_a_damaged_file_is_no_program(folder, damage):
    program_cache.save(key(), program())
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert program_cache.load(key()) is None


def test_a_folder_that_others_can_write_to_is_not_used(folder):
    name = key()
    program_cache.save(name, program())
    folder.chmod(0o777)
    assert program_cache.load(name) is None
    assert key() is None


def test_those_used_last_stay(folder, monkeypatch):
    for n, name in enumerate("abc"):
        program_cache.save(name, program())
        os.utime(folder / f"{name}.program", (n, n))
    program_cache.load("a")
    monkeypatch.setattr(program_cache, "BYTES", 3 * (folder / "a.program").stat().st_size + 100)
    program_cache.save("d", program())
    assert sorted(path.stem for path in folder.iterdir()) == ["a", "c", "d"]


@dataclass(frozen=True)
class Pair:
    a: int
    b: object = None


APART = [
    ("a", "b"),
    (1, True),
    (1, 1.0),
    ("1", 1),
    ([1, 2], [12]),
    ([[1], 2], [[1, 2]]),
    ({"a": 1}, {"a": 2}),
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.zeros((1, 2)), np.zeros((2, 1))),
    (np.zeros(2), np.array([0, 1.0])),
    (Pair(1), Pair(2)),
    (pb.NetParameter(name="a"), pb.NetParameter(name="b")),
    (ReLU, Net),
    (key, program),
]


@pytest.mark.parametrize(("a", "b"), APART)
def test_other_values_have_other_names(a, b):
    assert program_cache.digest(a) != program_cache.digest(b)
    assert program_cache.digest([a, b]) == program_cache.digest([a, b])


def test_functions_of_ours_are_named_by_what_they_close_over():
    rules = [pb.SolverParameter(type=kind, delta=delta) for kind in ("RMSProp", "Adam") for delta in (0.1, 0.2)]
    names = [program_cache.digest(updates.from_solver(rule)) for rule in rules]
    assert None not in names
    assert len(set(names)) == len(names)
    assert names == [program_cache.digest(updates.from_solver(rule)) for rule in rules]


@pytest.mark.parametrize("value", [object(), lambda: 1, partial(key), np.array([object()])])
def test_what_is_more_than_its_parts_has_no_name(value):
    assert program_cache.digest({"a": [value]}) is None


def test_shapes_types_and_settings_are_part_of_the_name(folder):
    with jax.default_matmul_precision("highest"):
        names = [key(), key(("b",)), key(("a",), X[:2]), key(("a",), X.astype(np.float16)), key(("a",), [X])]
    with jax.default_matmul_precision("default"):
        names.append(key())
    assert len(set(names)) == len(names)


def test_a_net_is_named_by_what_its_layers_hold_too():
    net = made(SMALL)
    named = program_cache.digest(net.made_of())
    assert named is not None
    assert program_cache.digest(made(SMALL).made_of()) == named
    assert program_cache.digest(made(SMALL.replace("num_output: 4", "num_output: 5")).made_of()) != named
    net.layers[-1].weigh_classes(np.ones(3, np.float32))
    assert program_cache.digest(net.made_of()) != named
