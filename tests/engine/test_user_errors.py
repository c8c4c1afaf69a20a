import re
import runpy

import pytest

from engine import user_errors
from engine.errors import LayerError, NetError


class Ended(Exception):
    """A user's own, which takes other things than its words."""

    def __init__(self, words, epoch):
        super().__init__(words)
        self.epoch = epoch


class Particular(Exception):
    """One that cannot be made of its args."""

    def __new__(cls, words, *, why):
        return super().__new__(cls, words)

    def __init__(self, words, *, why):
        """`why` is kept by nobody."""


@pytest.mark.parametrize("error", [KeyError("mean"), FileNotFoundError(2, "gone"), Ended("no more", 3)])
def test_what_it_raises_is_caught_as_what_it_is(error):
    with pytest.raises(type(error), match=r"^located$") as caught:
        raise user_errors.caught_as(LayerError("located"), error)
    assert isinstance(caught.value, LayerError)
    assert caught.value.args == error.args
    assert getattr(caught.value, "epoch", None) == getattr(error, "epoch", None)


@pytest.mark.parametrize("error", [SystemExit(0), StopIteration(), NetError("net"), Particular("words", why=1)])
def test_what_cannot_be_caught_so_is_a_layer_error_alone(error):
    located = LayerError("located")
    assert user_errors.caught_as(located, error) is located


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import yaml; yaml.load('a: 1')",
            r"'Loader' \(.*old.py:1, in .*\)\. PyYAML 6 .*: write yaml.safe_load\(TEXT\)\.$",
        ),
        ("import yaml; yaml.load_all('a: 1')", r"write yaml.safe_load_all\(TEXT\)\.$"),
        ("import numpy; numpy.product", r"'product' \(.*old.py:1, in .*\)\. .* dropped it: write numpy.prod\.$"),
        (
            "raise ImportError(\"cannot import name 'imread' from 'scipy.misc' (misc.py)\")",
            r"in <module>\)\. .* dropped it: write cv2.imread\(FILE\)\[..., ::-1\]\.$",
        ),
        ("import numpy; numpy.prodduct", r"'prodduct' \(.*, in <module>\)$"),
        ("import numpy; numpy.zeros(1).product", r"'product' \(.*, in <module>\)$"),
        ("from os import imread", r"'os' \(.*, in <module>\)$"),
        ("print(1, load=2)", r"TypeError: .*\(.*, in <module>\)$"),
        ("range(4 / 2)", r"as an integer \(.*\)\. If the number comes from /, write //: "),
        ("[1, 2][:2 / 2]", r"If the number comes from /"),
        ("x = [1, 2]; x[2 / 2]", r"If the number comes from /"),
        ("import numpy; numpy.zeros(3)[2 / 2]", r"If the number comes from /"),
        ("import numpy; numpy.zeros(4 / 2)", r"If the number comes from /"),
        ("x = [1, 2]; x['a']", r"not str \(.*, in <module>\)$"),
        ("[1, 2][5]", r"out of range \(.*, in <module>\)$"),
        ("xrange(2)", r"This is Python 2 code, .* 2to3 -w FILE converts it\.$"),
    ],
)
def test_code_of_older_libraries_is_told_what_to_write_now(tmp_path, code, told):
    (tmp_path / "old.py").write_text(code)
    with pytest.raises(Exception) as raised:  # noqa: PT011  of several types
        runpy.run_path(str(tmp_path / "old.py"))
    assert re.search(told, user_errors.described(raised.value))
