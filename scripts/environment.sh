# Sourced by the scripts beside it. Leaves the shell at the root of the checkout, with .venv made, filled and first on PATH.
#
# A script that wants more than the engine and its plots says so first: extras=test. What one has installed serves those that want less.
#
# Wants Python 3.11 or later with pip or ensurepip, and nothing else: Debian's python3 without python3-venv will do, and so
# will one marked as externally managed (PEP 668), since nothing is installed outside .venv. What is there already is not
# installed again: .venv/installed holds all that the installation depends on, and is written last.

extras=${extras:-engine,plot}

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root" || exit

# Modules loaded in the user's shell and pip's own ideas of where to install are no part of this environment.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX
# What is used is compiled once, and not anew by every command.
unset PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

fail() {
    printf '%s: %s\n' "$0" "$1" >&2
    exit 1
}

# Prints the version of the Python named; fails if that is older than 3.11 or cannot be run.
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
On Debian or Ubuntu: sudo apt install python3 python3-pip. On a cluster: module avail python"
}

make_venv() {
    local python
    python=$(find_python)
    printf 'Making .venv with %s.\n' "$("$python" --version)"
    "$python" -m venv --clear --without-pip .venv
}

# Debian keeps ensurepip in python3-venv; where that is missing, the system's pip installs one.
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

# What an installation depends on: the place of the checkout, the Python, and what pyproject.toml asks for.
depends_on() {
    printf '%s\n%s\n' "$root" "$(recent .venv/bin/python)"
    cat pyproject.toml
}

# The first line of .venv/installed says which extras are there; `test` has both in it.
installed() {
    [[ -f .venv/installed ]] && [[ $(head -n 1 .venv/installed) =~ ^($extras|test)$ ]] &&
        [[ "$(depends_on)" == "$(tail -n +2 .venv/installed)" ]]
}

# Of what pip says, what takes long: each package that is fetched, on one line of a terminal, and that all are unpacked.
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
    # The scripts of a venv name its place: one that was moved with its checkout is made anew.
    if ! recent .venv/bin/python >/dev/null || ! grep -qF "$root/.venv" .venv/bin/activate; then make_venv; fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || add_pip
    printf 'Installing hpcbrew and what it needs (%s) into .venv, this once.\n' "$extras"
    # Not compiled: Python does so for the modules that are used, when they are.
    .venv/bin/python -m pip install --no-compile --progress-bar off --editable ".[$extras]" | progress ||
        fail 'pip could not install the project and says why above. Once that is mended, run this again'
    { printf '%s\n' "$extras" && depends_on; } >.venv/installed
}

if ! installed; then
    # Two scripts started together must not fill one .venv at once. flock is on every Linux.
    {
        ! command -v flock >/dev/null || flock 9
        installed || install
    } 9<pyproject.toml
fi

export VIRTUAL_ENV=$root/.venv PATH=$root/.venv/bin:$PATH
