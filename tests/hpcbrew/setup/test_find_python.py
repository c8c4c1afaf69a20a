import sys

import pytest

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.setup import find_python
from hpcbrew.setup.find_python import Python

OLD = Python((3, 9), "/usr/bin/python3.9", None)
NEW = Python((3, 12), "/apps/3.12/bin/python3", "python/3.12")
LOCAL = sys.version_info[:2]


def site(**values: str) -> Cluster:
    return Cluster.model_validate({**profiles.values("openpbs"), "name": "remote", **values})


def says(version: str, path: str) -> str:
    """A Python of another version, as the survey's program would make it speak."""
    return f"printf '@python\\t{version}\\t{path}\\t%s\\tpip\\n' \"$3\""


def test_the_newest_that_will_do_is_taken() -> None:
    assert find_python.best([OLD, NEW]) == NEW
    assert find_python.best([OLD]) is None
    assert find_python.best([Python((3, 99), "/future", None)]) is None


def test_a_real_python_on_the_path_is_found(login_home) -> None:
    (login_home.bin / f"python{LOCAL[0]}.{LOCAL[1]}").symlink_to(sys.executable)
    found = find_python.find(login_home.transport, site())
    assert (found.version, found.module) == (LOCAL, None)


def test_a_python_may_have_no_pip_for_its_environments(login_home) -> None:
    login_home.script("bin/python3.12", "printf '@python\\t3.12\\t/usr/bin/python3.12\\t-\\t-\\n'")
    assert find_python.find(login_home.transport, site(python="python3.12")).pip is False


def test_one_that_is_too_old_is_passed_over_for_a_module(login_home) -> None:
    for name in find_python.NAMES:
        login_home.script(f"bin/{name}", says("3.9", "/usr/bin/python3.9"))
    login_home.script("apps/python/3.12/python3.12", says("3.12", "/apps/3.12/bin/python3"))
    login_home.profile(
        'module() { case "$1" in -t) printf "gcc/13\\npython/3.12\\npython/3.8(default)\\n" >&2 ;;\n'
        f'load) PATH="{login_home.home}/apps/$2:$PATH" ;; esac; }}'
    )
    assert find_python.find(login_home.transport, site()) == NEW


def test_the_module_of_the_profile_is_the_only_one_looked_into(login_home) -> None:
    login_home.script("apps/conda/python3.12", says("3.12", "/conda/bin/python3"))
    login_home.profile(f'module() {{ [ "$1 $2" = "load conda" ] && PATH="{login_home.home}/apps/$2:$PATH"; }}')
    assert find_python.find(login_home.transport, site(python_module="conda", python="python3.12")).module == "conda"


@pytest.mark.parametrize("named", [None, "conda"])
def test_modules_of_further_folders_are_looked_into(login_home, named: str | None) -> None:
    """As ALCF's conda, which is there after `module use /soft/modulefiles`."""
    for name in find_python.NAMES:
        login_home.script(f"bin/{name}", says("3.9", "/usr/bin/python3.9"))
    login_home.script("soft/conda/python3.12", says("3.12", "/conda/bin/python3"))
    login_home.profile(
        'module() { case "$1" in use) soft=$2 ;; -t) [ -z "$soft" ] || printf "conda\n" >&2 ;;\n'
        'load) PATH="${soft:-/none}/$2:$PATH" ;; esac; }'
    )
    assert find_python.find(login_home.transport, site(module_use=("~/soft",), python_module=named)).module == "conda"


def test_without_one_the_error_names_those_seen_and_what_to_write(login_home) -> None:
    for name in find_python.NAMES:
        login_home.script(f"bin/{name}", says("3.9", "/usr/bin/python3.9"))
    with pytest.raises(TransportError, match=r"Python 3\.9, /usr/bin/python3\.9.*python_module: NAME"):
        find_python.find(login_home.transport, site())


@pytest.mark.parametrize(
    "row",
    ["", "x", "3.11", "3\t/usr/bin/python3\t-\tpip", "3.x\t/usr/bin/python3\t-\tpip", f"{'9' * 5000}.1\t/p\t-\tpip",
     "3.12\tpython3\t-\tpip", "3.12\t/p\t-\tpip\tmore"],
)  # fmt: skip
def test_a_row_that_is_none_is_noise(row: str) -> None:
    sound = "@python\t3.12\t/usr/bin/python3.12\t-\tpip"
    assert find_python.parse(f"@python\t{row}\n{sound}\n") == [Python((3, 12), "/usr/bin/python3.12", None)]
