from pathlib import Path

import pytest

from hpcbrew import settings
from hpcbrew.errors import ProfileError


def write(text: str) -> Path:
    settings.path().parent.mkdir(parents=True, exist_ok=True)
    settings.path().write_text(text)
    return settings.path()


def test_what_is_written_is_read() -> None:
    settings.write({"cluster": "iitd"})
    assert settings.default_cluster() == "iitd"


def test_without_a_setting_the_error_says_how_to_make_one() -> None:
    assert settings.read() == {}
    with pytest.raises(ProfileError, match="hpcbrew config set cluster NAME"):
        settings.default_cluster()


FAULTS = {
    "not YAML": ("cluster: [a\n", "not YAML"),
    "not a mapping": ("- iitd\n", "this is list"),
    "unknown key": ("clutser: iitd\n", "clutser: no such setting. Did you mean 'cluster'"),
    "not text": ("cluster: 5\n", "cluster: 5 is no text"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_file_is_named(fault: str) -> None:
    text, said = FAULTS[fault]
    path = write(text)
    with pytest.raises(ProfileError) as error:
        settings.read()
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
