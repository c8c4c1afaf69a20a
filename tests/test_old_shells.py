"""Shell text must suit the oldest bash that runs it: 3.2 with BSD's commands on a Mac, and 4.1 on a cluster."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# By the version of bash that brought them.
SINCE_4_2 = re.compile(
    r"\[\[ (?:! )?-v |(?:declare|local|typeset) -\w*[gn]|wait -n|printf (?:-v \w+ )?'[^']*%\(|\$\{\w+(?:\[[^]]*\])?@"
    r"|\$\{\w+:[^}]*:\s*-\d|lastpipe|inherit_errexit|EPOCH(?:REAL)?SECONDS|(?:mapfile|readarray) -\w*d|BASH_ARGV0"
)
SINCE_4_0 = re.compile(
    r"\b(?:mapfile|readarray|coproc)\b|(?:declare|local|typeset) -\w*A|\|&|&>>|\$\{\w+(?:\[[^]]*\])?(?:,|\^)|;;?&(?!&)"
    r"|globstar|BASHPID|exec \{\w+\}|\{-?\d+\.\.-?\d+\.\."
)
OF_GNU = re.compile(
    r"find [^|]*-(?:printf|readable)|\b(?:sed|sort|stat|readlink|mktemp|grep|cp|mv|ln|du|head|tail) (?:-\w+ )*--[a-z]"
    r"|\bsed -\w*[ir]|\bstat -c|\breadlink -[fem]|\bdate -d|\bsort -\w*V|\bgrep -\w*P|\b(?:mv|cp|ln) -\w*T"
    r"|\b(?:timeout|nproc|setsid|sha256sum|tac|shuf)\b"
)

ON_A_MAC = [
    *(ROOT / "templates" / "pbs" / f"{name}.j2" for name in ("job.pbs", "resubmit", "after", "chain", "caffe_records")),
    *(path for path in (ROOT / "scripts").iterdir() if path.suffix == ".sh" or (path.is_file() and not path.suffix)),
    *(ROOT / "configs" / "models").glob("*/run"),
]
ON_A_CLUSTER = [*ON_A_MAC, *(ROOT / "templates" / "pbs").glob("*.j2"), *(ROOT / "hpcbrew").rglob("*.py")]


def shell(path: Path) -> Iterator[str]:
    """The lines of a script that are no comment; of a module, those of its texts."""
    written = path.read_text()
    texts = [written]
    if path.suffix == ".py":
        nodes = ast.walk(ast.parse(written))
        texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    for text in texts:
        yield from (line for line in text.splitlines() if not line.lstrip().startswith("#"))


def shown(paths: list[Path], *patterns: re.Pattern[str]) -> list[str]:
    lines = ((path, line) for path in paths for line in shell(path))
    return [f"{path.relative_to(ROOT)}: {line}" for path, line in lines if any(p.search(line) for p in patterns)]


def test_a_mac_s_own_shell_and_commands_run_what_is_run_there() -> None:
    assert shown(ON_A_MAC, SINCE_4_0, SINCE_4_2, OF_GNU) == []


def test_clusters_have_bash_4_1_at_least() -> None:
    assert shown(ON_A_CLUSTER, SINCE_4_2) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (SINCE_4_0, "mapfile -t ends < <(tail -n 2 links)"),
        (SINCE_4_0, "declare -A seen"),
        (SINCE_4_0, 'echo "${name,,}"'),
        (SINCE_4_0, "make |& tee log"),
        (SINCE_4_2, '[[ -v name ]] && echo "$name"'),
        (SINCE_4_2, "echo ${name@Q}"),
        (SINCE_4_2, "printf '%(%s)T' -1"),
        (SINCE_4_2, "echo ${name:0:-1}"),
        (SINCE_4_2, "wait -n"),
        (OF_GNU, "find . -name x -printf '%f'"),
        (OF_GNU, "sed -i -e s/a/b/ file"),
        (OF_GNU, "ls | sort -V"),
        (OF_GNU, "readlink -f ."),
        (OF_GNU, "mktemp --tmpdir"),
        (OF_GNU, "timeout 5 true"),
    ],
)
def test_what_they_lack_is_seen(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)
