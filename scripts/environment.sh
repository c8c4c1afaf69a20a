# Sourced by other scripts. Changes to the root of the checkout, sets up .venv there and puts it first on PATH.
#
# A script that needs more than the engine and its plots sets extras=test first. An installation with more extras also
# serves scripts that need less.
#
# Needs only Python 3.11 or later with pip or ensurepip. Debian's python3 without python3-venv works, and so does a
# Python marked as externally managed (PEP 668), since nothing is installed outside .venv. An up-to-date installation is
# not repeated: .venv/installed records everything that the installation depends on, and is written last.

extras=${extras:-engine,plot}

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root" || exit

# Keep out modules loaded in the user's shell, and pip settings that would install elsewhere.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX
# Write bytecode, so that modules are compiled once and not by every command.
unset PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

fail() {
    printf '%s: %s\n' "$0" "$1" >&2
    exit 1
}

# Prints the version of the Python $1; fails if it is older than 3.11 or cannot be run.
recent() {
    "$1" -c 'import sys; assert sys.version_info >= (3, 11); print(sys.version)' 2>/dev/null
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if recent "$name" >/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    fail "no Python 3.11 or later on PATH (python3 here: $(python3 --version 2>/dev/null || echo none)).
On Debian or Ubuntu: sudo apt install python3 python3-pip. On a Mac: brew install python. On a cluster: module avail python"
}

make_venv() {
    local python
    python=$(find_python)
    printf 'Making .venv with %s.\n' "$("$python" --version)"
    "$python" -m venv --clear --without-pip .venv
}

# Debian ships ensurepip in python3-venv; without that, the system's pip installs pip into .venv.
add_pip() {
    local python
    if .venv/bin/python -c 'import ensurepip' 2>/dev/null; then
        .venv/bin/python -m ensurepip --default-pip >/dev/null
    else
        python=$(find_python)
        "$python" -m pip --version >/dev/null 2>&1 ||
            fail "$("$python" --version) has neither pip nor ensurepip. On Debian or Ubuntu: sudo apt install python3-pip"
        "$python" -m pip install --quiet --target "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" pip
    fi
}

# Prints what an installation depends on: the checkout's path, the Python version, and pyproject.toml.
depends_on() {
    printf '%s\n%s\n' "$root" "$(recent .venv/bin/python)"
    cat pyproject.toml
}

# Whether what is needed is installed. The first line of .venv/installed names the extras; `test` includes the others.
installed() {
    [[ -f .venv/installed ]] && [[ $(head -n 1 .venv/installed) =~ ^($extras|test)$ ]] &&
        [[ "$(depends_on)" == "$(tail -n +2 .venv/installed)" ]]
}

# Filters pip's output to the slow steps: each package fetched, on a single line of a terminal, and the unpacking.
progress() {
    local line count=0 start='  ' end=$'\n'
    if [[ -t 1 ]]; then start=$'\r\e[K  ' end=''; fi
    while IFS= read -r line; do
        case $line in
        *' Downloading '*.whl*|*' Using cached '*.whl*)
            count=$((count + 1)) line=${line##*Downloading } line=${line##*Using cached }
            printf '%s%s: %s%s' "$start" "$count" "${line:0:60}" "$end"
            ;;
        'Installing collected packages'*)
            printf '%s%s packages fetched; unpacking them.\n' "$start" "$count"
            ;;
        esac
    done
}

install() {
    # The scripts in a venv contain its path: if it was moved with its checkout, it is rebuilt.
    if ! recent .venv/bin/python >/dev/null || ! grep -qF "$root/.venv" .venv/bin/activate; then make_venv; fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || add_pip
    printf 'Installing hpcbrew and its dependencies (%s) into .venv; this happens only once.\n' "$extras"
    # --no-compile: Python compiles the modules that are used, when they are first imported.
    .venv/bin/python -m pip install --no-compile --progress-bar off --editable ".[$extras]" | progress ||
        fail 'pip could not install the project; its message is above. Fix the problem and run this again'
    { printf '%s\n' "$extras" && depends_on; } >.venv/installed
}

if ! installed; then
    # Two scripts started together must not fill one .venv at the same time. Every Linux has flock.
    {
        ! command -v flock >/dev/null || flock 9
        installed || install
    } 9<pyproject.toml
fi

export VIRTUAL_ENV=$root/.venv PATH=$root/.venv/bin:$PATH
