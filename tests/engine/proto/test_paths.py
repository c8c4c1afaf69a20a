from pathlib import Path

import pytest

from engine.proto import paths


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model's folder beside the current one."""
    (tmp_path / "here").mkdir()
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "model" / "solver.prototxt"


def test_the_current_folder_comes_first(model):
    Path("net.prototxt").touch()
    model.with_name("net.prototxt").touch()
    assert paths.resolve("net.prototxt", model) == Path("net.prototxt")


def test_one_beside_the_file_that_is_passed_over_is_told_of(model, monkeypatch):
    model.with_name("net.prototxt").touch()
    assert paths.passed_over("net.prototxt", model) is None
    Path("net.prototxt").touch()
    assert paths.passed_over("net.prototxt", model) == model.with_name("net.prototxt")
    assert paths.passed_over("", model) is None
    monkeypatch.chdir(model.parent)
    assert paths.passed_over("net.prototxt", model) is None


def test_the_folder_of_the_file_that_names_it_comes_second(model):
    model.with_name("net.prototxt").touch()
    assert paths.resolve("net.prototxt", model) == model.with_name("net.prototxt")


def test_folders_are_found_as_files_are(model):
    model.with_name("train_lmdb").mkdir()
    assert paths.resolve("train_lmdb", str(model)) == model.with_name("train_lmdb")


def test_what_is_nowhere_comes_back_as_it_was_written(model):
    assert paths.resolve("gone/net.prototxt", model) == Path("gone/net.prototxt")


def test_what_no_file_can_be_called_is_nowhere(model):
    long = "x" * 300
    assert paths.resolve(long, model / "solver.prototxt") == Path(long)


def test_an_absolute_path_stays(model):
    model.with_name("net.prototxt").touch()
    assert paths.resolve("/net.prototxt", model) == Path("/net.prototxt")


def test_without_a_file_that_names_it_only_the_current_folder_counts(model):
    assert paths.resolve("net.prototxt") == Path("net.prototxt")


def test_a_listed_name_lies_beside_the_list_and_below_a_root_folder_beside_the_prototxt(model):
    source = model.parent / "lists" / "list.txt"
    for folder in (source.parent, model.parent / "pics"):
        folder.mkdir()
        (folder / "a.png").touch()
    assert paths.below("", "a.png", source, model) == source.with_name("a.png")
    assert paths.below("pics/", "a.png", source, model) == model.parent / "pics" / "a.png"
    assert paths.below("pics/", "a.png", source, None) == Path("pics/a.png")
    Path("pics").mkdir()
    Path("pics/a.png").touch()
    assert paths.below("pics/", "a.png", source, model) == Path("pics/a.png")


def test_a_line_of_a_list_holds_several_names_or_one_with_blanks(model):
    model.with_name("b c.h5").touch()
    assert paths.listed(" a.h5\tb.h5  c.h5\n", model) == ["a.h5", "b.h5", "c.h5"]
    assert paths.listed(" b c.h5 \n", model) == ["b c.h5"]
    assert paths.listed(" \n", model) == []
