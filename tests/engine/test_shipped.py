import pytest

from engine import shipped


@pytest.mark.parametrize("name", ["templates", "configs"])
def test_what_ships_is_found(name: str) -> None:
    assert shipped.folder(name).is_dir()


def test_models_are_known_by_name() -> None:
    assert shipped.models()["lenet"].joinpath("solver.prototxt").is_file()
