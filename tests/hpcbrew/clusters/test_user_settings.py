from pathlib import Path

import pytest

from hpcbrew.clusters import user_settings
from hpcbrew.errors import ProfileError


def write(text: str) -> Path:
    user_settings.path().parent.mkdir(parents=True, exist_ok=True)
    user_settings.path().write_text(text)
    return user_settings.path()


def test_what_is_written_is_read() -> None:
    user_settings.write({"cluster": "iitd"})
    assert user_settings.default_cluster() == "iitd"


def test_without_a_setting_the_error_says_how_to_make_one() -> None:
    assert user_settings.read() == {}
    with pytest.raises(ProfileError, match="hpcbrew config set cluster NAME"):
        user_settings.default_cluster()


FAULTS = {
    "not YAML": ("cluster: [a\n", "not YAML"),
    "not a mapping": ("- iitd\n", "this is list"),
    "unknown key": ("clutser: iitd\n", "clutser: no such setting. Did you mean 'cluster'"),
    "not text": ("cluster: 5\n", "cluster: 5 is not valid text"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_file_is_named(fault: str) -> None:
    text, said = FAULTS[fault]
    path = write(text)
    with pytest.raises(ProfileError) as error:
        user_settings.read()
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
