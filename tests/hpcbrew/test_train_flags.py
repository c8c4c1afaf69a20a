import re

import pytest

from engine.cli.train import train
from hpcbrew import train_flags
from hpcbrew.errors import RequestError


def test_the_engine_knows_them_all() -> None:
    known = {option.lstrip("-") for parameter in train.params for option in parameter.opts}
    assert set(train_flags.VALUES) <= known


def test_a_flag_without_a_value_is_one_word() -> None:
    words = train_flags.arguments((("skip_bad_records", ""), ("keep", "2")), "own")
    assert words == ["-skip_bad_records", "-keep", "2"]


def test_what_is_asked_for_now_counts() -> None:
    assert train_flags.merged((("keep", "2"), ("nan", "warn")), (("nan", "stop"),)) == (("keep", "2"), ("nan", "stop"))


def test_a_site_s_own_caffe_knows_none() -> None:
    with pytest.raises(RequestError, match="--keep 3: the site's own Caffe has no such flag"):
        train_flags.arguments((("keep", "3"),), "module")
    assert train_flags.arguments((), "module") == []


def test_what_stops_early_watches_something() -> None:
    with pytest.raises(RequestError, match="--early-stop needs --watch"):
        train_flags.arguments((("early_stop", "3"),), "own")


@pytest.mark.parametrize("weights", ["1", "1,1,4", "0.5,2e-3"])
def test_weights_of_classes_are_numbers(weights: str) -> None:
    assert re.fullmatch(train_flags.VALUES["class_weights"], weights)
