import json
import subprocess
from pathlib import Path

FEW = ("--cluster", "local", "--set", "base_lr=0.1,0.2", "--set", "max_iter=2")


def test_a_sweep_that_is_followed_shows_its_points_and_in_the_end_its_table(model: Path, hpcbrew) -> None:
    done = hpcbrew("sweep", model / "solver.prototxt", *FEW, "--follow")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    for n, rate in ((1, "0.1"), (2, "0.2")):
        assert any(line.startswith(f"tiny[{n}] (base_lr {rate}): done") for line in lines)
        assert any(line.split()[1:4] == [f"tiny[{n}]", rate, "done"] for line in lines)
    assert lines[-2:] == ["Done", "Next: hpcbrew plot tiny, hpcbrew fetch tiny, hpcbrew logs 'tiny[1]'"]


def test_a_sweep_that_is_left_alone_names_commands_that_a_shell_takes(model: Path, hpcbrew) -> None:
    done = hpcbrew("sweep", model / "solver.prototxt", *FEW)
    commands = done.stdout.splitlines()[-1].removeprefix("Next: ").split(", ")
    assert commands[0] == "hpcbrew status tiny"
    words = subprocess.run(["sh", "-c", f"printf '%s\\n' {commands[2]}"], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines()[-1] == "tiny[1]"
    followed = json.loads(hpcbrew("logs", "-f", "tiny[1]", "--json").stdout.splitlines()[-1])
    assert followed["state"] == "done"
