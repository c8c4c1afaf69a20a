import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("statsu", "hpcbrew: No such command 'statsu'. Did you mean status? hpcbrew --help says more"),
        (
            "cluster shwo",
            "hpcbrew cluster: No such command 'shwo'. Did you mean show? hpcbrew cluster --help says more",
        ),
        (
            "submit s --gpus 2",
            "hpcbrew submit has no option --gpus. Did you mean --gpus-per-node? hpcbrew submit --help",
        ),
        ("status --al", "hpcbrew status has no option --al. Did you mean --all?"),
        ("submit", "hpcbrew submit: SOLVER is missing. hpcbrew submit --help says more"),
        ("submit s --walltime 90", "--walltime: 90 of what? Write 90h, 90m or 90s. hpcbrew submit --help says more"),
        ("submit s --engine modul", "--engine: 'modul' is not one of 'own', 'module'. Did you mean module?"),
        ("config set projcet ee", "Did you mean project? hpcbrew config set --help says more"),
        ("logs a b", "hpcbrew logs: Got unexpected extra argument (b). hpcbrew logs --help says more"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_one_message(hpcbrew, arguments: str, said: str) -> None:
    done = hpcbrew(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hpcbrew: error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_job_s_name_is_suggested(hpcbrew, lenet) -> None:
    assert "Did you mean 'lenet'?" in hpcbrew("logs", "lenett").stderr
