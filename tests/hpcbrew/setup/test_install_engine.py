import os
import socket
import subprocess
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path, PurePosixPath

import pip
import pytest
from support.wheels import stub

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import HpcbrewError, TransportError
from hpcbrew.setup import cleanup, install_engine
from hpcbrew.setup import wheel as wheels
from hpcbrew.setup.install_engine import InstallOptions

# A Python whose virtual environments find pip instead of installing it: that takes ten times as long as all the rest.
QUICK = """
if [ "$2" != venv ]; then /usr/bin/python3 "$@" | sed "s#/usr/bin/python[0-9.]*#$0#"; exit; fi
/usr/bin/python3 -m venv --without-pip "$3"
for site in "$3"/lib/python*/site-packages; do echo {pip} >"$site/pip.pth"; done
"""
# A Python as Debian's without python3-venv: it makes environments, and has no pip to put into them.
BARE = """
if [ "$2" = venv ]; then [ "$3" = --without-pip ] && exec /usr/bin/python3 "$@"; exit 1; fi
/usr/bin/python3 "$@" | sed "s#/usr/bin/python[0-9.]*#$0#" | sed "s/pip$/-/"
"""
SOUND = "def main(): print('caffe of a stub')\n"


@pytest.fixture
def site(login_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster whose pip finds nothing but a small wheel that the distribution's extra asks for: no index is asked.

    The laptop is this machine too, so the platform of its Python is one that wheels can be collected for.
    """
    (tmp_path / "index").mkdir()
    stub(tmp_path / "index", "click", {"click.py": ""})
    stub(tmp_path / "index", "small", {"small.py": ""})
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    distribute(monkeypatch, SOUND)
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip").symlink_to(Path(pip.__file__).parent)
    login_home.script("bin/quick", QUICK.format(pip=tmp_path / "pip"))
    return profile("quick")


def profile(python: str) -> Cluster:
    return Cluster.model_validate({**profiles.values("openpbs"), "name": "remote", "python": python})


def distribute(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """What hpcbrew is distributed as: a program and one requirement."""
    requires = 'Provides-Extra: engine\nRequires-Dist: small; extra == "engine"\n'
    files = {"stub_engine.py": code}
    monkeypatch.setattr(
        wheels, "make", lambda folder: stub(folder, "hpcbrew", files, requires, "caffe = stub_engine:main")
    )


def install(login_home, site: Cluster, *, offline: bool = False) -> list[str]:
    root = PurePosixPath(login_home.home / "scratch")
    Path(root).mkdir(exist_ok=True)
    moving = lambda verb, total: nullcontext(lambda size: None)  # noqa: E731
    said: list[str] = []
    install_engine.install(login_home.transport, site, root, InstallOptions("engine", offline), moving, said.append)
    return said


def caffe(login_home) -> str:
    program = login_home.home / "scratch" / "engine" / "bin" / "caffe"
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout


def test_a_system_that_is_too_old_is_told_before_anything_is_made(login_home, site, monkeypatch) -> None:
    login_home.script("bin/getconf", "echo glibc 2.17")
    monkeypatch.setenv("PATH", f"{login_home.bin}:{os.environ['PATH']}")
    with pytest.raises(TransportError, match=r"it has glibc 2\.17"):
        install(login_home, site)
    assert not (login_home.home / "scratch" / "engines").exists()


def test_online_and_the_second_time_it_is_found(login_home, site: Cluster) -> None:
    site = profile("/usr/bin/python3")
    said = install(login_home, site)
    assert "the cluster reaches the package index" in said
    assert caffe(login_home) == "caffe of a stub\n"
    assert list((login_home.home / "scratch" / "engine" / "lib").rglob("small.py"))
    assert "is installed already" in install(login_home, site)[-1]
    assert len(list((login_home.home / "scratch" / "engines").iterdir())) == 1
    assert not list((login_home.home / "scratch" / "wheels").iterdir())


def test_offline_the_wheels_are_collected_here_and_sent(login_home, site: Cluster) -> None:
    login_home.profile("export PIP_FIND_LINKS=/nowhere")
    said = install(login_home, site)
    assert "the cluster does not reach a package index: collecting wheels here to send them" in said
    assert "sent 2 wheels" in said
    assert caffe(login_home) == "caffe of a stub\n"


def test_a_python_without_pip_is_sent_one(login_home, site: Cluster, tmp_path: Path) -> None:
    wheels.repack(metadata.distribution("pip"), tmp_path / "index")
    login_home.script("bin/bare", BARE)
    assert "that Python comes without pip: sent one" in install(login_home, profile("bare"))
    assert caffe(login_home) == "caffe of a stub\n"
    assert not list((login_home.home / "scratch" / "wheels").iterdir())


def test_the_module_of_its_python_is_looked_for_in_the_folders_of_the_profile(tmp_path: Path) -> None:
    seen = os.environ | {"BASH_FUNC_module%%": '() { echo "$*"; }'}
    given = [
        "bash",
        "-c",
        install_engine.RUN,
        "bash",
        "conda",
        "",
        str(tmp_path / "tmp"),
        "/soft/a:/b c",
        "echo",
        "pip",
    ]
    done = subprocess.run(given, env=seen, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["use /soft/a", "use /b c", "load conda", "pip"]


def test_a_python_that_needs_its_modules_libraries_brings_them(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    loaded = os.environ | {"LD_LIBRARY_PATH": "/lib of it"}
    subprocess.run(["bash", "-c", install_engine.STAND_ALONE, "bash", python], env=loaded, check=True)
    script = environment / "bin" / "script"
    script.write_text(f"#!{python}\nimport os, sys; print(sys.prefix, os.environ['LD_LIBRARY_PATH'])")
    script.chmod(0o755)
    done = subprocess.run([script], capture_output=True, text=True, check=True, env={"LD_LIBRARY_PATH": "/old"})
    assert done.stdout == f"{environment} /lib of it:/old\n"


def test_a_new_version_is_put_in_use_and_the_old_one_stays(
    login_home, site: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(login_home, site)
    before = (login_home.home / "scratch" / "engine").resolve()
    distribute(monkeypatch, "def main(): print('another')\n")
    said = install(login_home, site)
    assert str(before) in said[-1]
    assert (before / "bin" / "caffe").exists()
    assert caffe(login_home) == "another\n"


def test_an_installation_has_a_patience_of_its_own_and_what_hangs_is_taken_away(
    login_home, site: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    login_home.script(
        "bin/slow", '[ "$2" != venv ] || exec sleep 300\n/usr/bin/python3 "$@" | sed "s#/usr/bin/python[0-9.]*#$0#"'
    )
    monkeypatch.setattr(install_engine, "IDLE_TIMEOUT", 1)
    with pytest.raises(TransportError, match=r"bin/slow -m.* gave no answer within 1 s"):
        install(login_home, profile("slow"))
    assert not list((login_home.home / "scratch" / "engines").iterdir())


@pytest.mark.parametrize("code", ["import nothing_of_that_name\n", "def main(): raise SystemExit(3)\n"])
def test_an_engine_that_does_not_start_is_not_put_in_use(
    login_home, site: Cluster, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    install(login_home, site)
    distribute(monkeypatch, code)
    with pytest.raises(TransportError, match="does not start"):
        install(login_home, site)
    assert caffe(login_home) == "caffe of a stub\n"
    assert len(list((login_home.home / "scratch" / "engines").iterdir())) == 1


def test_what_cannot_be_collected_is_named_and_nothing_is_left_there(
    login_home, site: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(HpcbrewError, match=r"(?s)collecting the engine's wheels failed on this machine.*small"):
        install(login_home, site)
    assert not list((login_home.home / "scratch" / "engines").iterdir())


def test_a_folder_that_setup_did_not_make_stays(login_home, site: Cluster) -> None:
    mine = login_home.home / "scratch" / "engine" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("kept")
    with pytest.raises(TransportError, match="was not made by setup: move it away"):
        install(login_home, site)
    assert mine.read_text() == "kept"


def test_what_was_cut_off_is_taken_away_and_what_another_makes_is_left(login_home, site: Cluster) -> None:
    gone_maker, live_maker, far_maker = f"{socket.gethostname()} {2**22 + 1}", cleanup.maker(), "elsewhere 1"
    makers = {"1-c0c0c0c0": gone_maker, "1-aaaaaaaa": live_maker, "1-bbbbbbbb": far_maker, "1-dddddddd": "", "mine": ""}
    engines = login_home.home / "scratch" / "engines"
    for name, maker in makers.items():
        (engines / name).mkdir(parents=True)
        (engines / name / cleanup.MAKER).write_text(maker)
    for name in ("1-dddddddd", "mine"):  # for long unchanged, by nobody known
        for path in (engines / name / cleanup.MAKER, engines / name):
            os.utime(path, (0, 0))
    said = install(login_home, site)
    gone = [line.split("/")[-1] for line in said[:2]]
    assert gone == ["1-c0c0c0c0, which was never finished", "1-dddddddd, which was never finished"]
    left = {path.name for path in engines.iterdir()}
    assert {"1-aaaaaaaa", "1-bbbbbbbb", "mine"} < left
    assert len(left) == 4
