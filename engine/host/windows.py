"""Says on Windows that WSL is needed, before any module that only POSIX systems have is imported."""

import sys

WORDS = (
    "runs on Linux and macOS, and on Windows only inside WSL: run `wsl --install` in PowerShell, open the Ubuntu that "
    "it installs, and install hpcbrew there"
)


def refuse(program: str) -> None:
    """On Windows, prints what to do on standard error and exits with status 2."""
    if sys.platform == "win32":
        print(f"{program}: {WORDS}", file=sys.stderr)
        sys.exit(2)


def refuse_import(module: str) -> None:
    """On Windows, raises ImportError, which says what to do."""
    if sys.platform == "win32":
        raise ImportError(f"{module} {WORDS}", name=module)
