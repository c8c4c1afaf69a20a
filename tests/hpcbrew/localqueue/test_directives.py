import pytest

from hpcbrew.localqueue import directives
from hpcbrew.localqueue.directives import BadDirective


def test_lines_before_the_first_command_count_and_no_others() -> None:
    options = directives.parse("#!/bin/bash\n#PBS -N first\n\n# a remark\n#PBS -q gpu\necho\n#PBS -N late\n")
    assert (options["name"], options["queue"]) == ("first", "gpu")


def test_flags_win_over_the_scripts_lines() -> None:
    assert directives.parse("#PBS -N mine\n", ["-N", "theirs"])["name"] == "theirs"


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("-l walltime=01:30:00", {"walltime": 5400}),
        ("-l select=2:ncpus=8:ngpus=1", {"nodes": 2, "ncpus": 8, "ngpus": 1}),
        ("-l ncpus=4,walltime=60", {"ncpus": 4, "walltime": 60}),
        ("-W depend=afterok:12.local", {"depend": "afterok:12.local"}),
        ("-J 1-5", {"array": [1, 5]}),
        ("-N 'two words'", {"name": "two words"}),
        ("-S /bin/bash", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_asked_for(line: str, options: dict[str, object]) -> None:
    plain = {"queue": "local", "ncpus": 1, "ngpus": 0, "nodes": 1}
    found = directives.parse(f"#PBS {line}\n")
    assert {key: value for key, value in found.items() if key != "select"} == plain | options


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#PBS -Z x\n", "invalid option -- 'Z'"),
        ("#PBS -J 5-1\n", "illegal -J value"),
        ("#PBS -l walltime=soon\n", "Illegal attribute or resource value Resource_List.walltime"),
        ("#PBS -N x\r\n", "script contains cr, lf"),
    ],
)
def test_what_qsub_would_refuse_is_refused_in_its_words(script: str, words: str) -> None:
    with pytest.raises(BadDirective, match=words):
        directives.parse(script)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-N ../../../tmp/evil", "illegal -N value"),
        ("-N a/b", "illegal -N value"),
        ("-W depend=\0afterok:1", "NUL"),
        ("-N", None),
        ('-N "unclosed', "No closing quotation"),
        ("-J 1-100000000", "exceeds server or queue size limit"),
        ("-J 1-" + "9" * 5000, "illegal -J value"),
        ("-l ncpus=abc", "Resource_List.ncpus"),
        ("-l ncpus=" + "9" * 5000, "Resource_List.ncpus"),
        ("-l select=" + "9" * 5000, "Resource_List.select"),
        ("-l select=1:ngpus=" + "9" * 50, "Resource_List.ngpus"),
        ("-l walltime=" + "9" * 5000, "Resource_List.walltime"),
        ("-l", None),
    ],
)
def test_what_no_qsub_takes_is_refused(line: str, said: str | None) -> None:
    if said is None:
        directives.parse(f"#PBS {line}\n")
        return
    with pytest.raises(directives.BadDirective, match=said):
        directives.parse(f"#PBS {line}\n")
