from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None: ...
