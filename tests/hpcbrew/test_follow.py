import json
from pathlib import Path


def test_a_job_that_fails_ends_with_the_engines_own_words(model: Path, hpcbrew) -> None:
    net = (model / "net.prototxt").read_text()
    (model / "net.prototxt").write_text(net.replace("batch_size: 2", "batch_size: 0"))
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--follow", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["state"]) == (2, "failed")
    assert last["error"].endswith('layer "in" (Data): batch_size is 0 or not given; 1 or more is needed.')
