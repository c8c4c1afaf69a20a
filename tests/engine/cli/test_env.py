"""caffe env: what the shell evaluates finds this caffe, whatever stands on PYTHONPATH."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from engine import cli

PYTHON = str(Path(cli.__file__).parents[1] / "python")


def line(capsys):
    assert cli.main(["env"]) == 0
    return capsys.readouterr().out


def test_what_was_there_stays_behind_it(monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", f"/a b::{PYTHON}:/c")
    assert line(capsys) == f"export PYTHONPATH={shlex.quote(f'{PYTHON}:/a b:/c')}\n"


def test_it_comes_before_another_caffe(monkeypatch, capsys, tmp_path):
    (tmp_path / "caffe.py").write_text("raise SystemExit('another')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "find.py").write_text("import importlib.util as u; print(u.find_spec('caffe').origin)")
    script = f"{line(capsys)}{shlex.join([sys.executable, '-P', str(tmp_path / 'find.py')])}"
    done = subprocess.run(["sh", "-c", script], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{PYTHON}/caffe/__init__.py"
