import sys

import pytest

from hpcbrew import cluster
from hpcbrew.cluster import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.setup import python
from hpcbrew.setup.python import Python

OLD = Python((3, 9), "x86_64", "glibc-2.28", "/usr/bin/python3.9", None)
NEW = Python((3, 12), "x86_64", "glibc-2.28", "/apps/3.12/bin/python3", "python/3.12")
HERE = sys.version_info[:2]


def site(**values: str) -> Cluster:
    return Cluster.model_validate({**cluster.values("openpbs"), "name": "there", **values})


def says(version: str, path: str) -> str:
    """A Python of another version, as the survey's program would make it speak."""
    return f"printf '@python\\t{version}\\tx86_64\\tglibc-2.28\\t{path}\\t%s\\n' \"$3\""


def test_the_newest_that_will_do_is_taken() -> None:
    assert python.best([OLD, NEW]) == NEW
    assert python.best([OLD]) is None
    assert python.best([Python((3, 99), "x86_64", "glibc-2.28", "/future", None)]) is None


def test_platform_tags_are_those_of_its_glibc_and_older() -> None:
    tags = NEW.platforms
    assert tags[0] == "manylinux_2_28_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64"} <= set(tags)
    assert "manylinux_2_34_x86_64" not in tags


def test_wheels_for_another_libc_cannot_be_collected() -> None:
    with pytest.raises(TransportError, match="unknown libc"):
        _ = Python((3, 12), "x86_64", "", "/usr/bin/python3", None).platforms


def test_a_real_python_on_the_path_is_found(there) -> None:
    (there.bin / f"python{HERE[0]}.{HERE[1]}").symlink_to(sys.executable)
    found = python.find(there.transport, site())
    assert (found.version, found.module) == (HERE, None)
    assert found.machine
    assert found.platforms


def test_one_that_is_too_old_is_passed_over_for_a_module(there) -> None:
    for name in python.NAMES:
        there.script(f"bin/{name}", says("3.9", "/usr/bin/python3.9"))
    there.script("apps/python/3.12/python3.12", says("3.12", "/apps/3.12/bin/python3"))
    there.profile(
        'module() { case "$1" in -t) printf "gcc/13\\npython/3.12\\npython/3.8(default)\\n" >&2 ;;\n'
        f'load) PATH="{there.home}/apps/$2:$PATH" ;; esac; }}'
    )
    assert python.find(there.transport, site()) == NEW


def test_the_module_of_the_profile_is_the_only_one_looked_into(there) -> None:
    there.script("apps/conda/python3.12", says("3.12", "/conda/bin/python3"))
    there.profile(f'module() {{ [ "$1 $2" = "load conda" ] && PATH="{there.home}/apps/$2:$PATH"; }}')
    assert python.find(there.transport, site(python_module="conda", python="python3.12")).module == "conda"


def test_without_one_the_error_names_those_seen_and_what_to_write(there) -> None:
    for name in python.NAMES:
        there.script(f"bin/{name}", says("3.9", "/usr/bin/python3.9"))
    with pytest.raises(TransportError, match=r"Python 3\.9, /usr/bin/python3\.9.*python_module: NAME"):
        python.find(there.transport, site())
