from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, Resources
from hpcbrew.submit import remote_data
from hpcbrew.transports.base import Transport

LITTLE = Resources(1, 0, 1, None, 3600, None, None, {})
PLAN = JobPlan("t", "n", Address("far", "ssh", "pbs"), "", "~/s", PurePosixPath("runs/n-t"), "", (), (), (), LITTLE)


def test_what_the_cluster_lacks_is_named_before_anything_is_sent(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "a 'b' $(c)").write_text("x")
    there = ("weights", PurePosixPath(tmp_path / "a 'b' $(c)"))
    remote_data.check(replace(PLAN, files_on_cluster=(there,)), transport)
    lacking = PurePosixPath(tmp_path / "db/data.mdb")
    with pytest.raises(RequestError, match=f"no readable database at {lacking}, neither here nor on far: correct"):
        remote_data.check(replace(PLAN, files_on_cluster=(there, ("database", lacking))), transport)
