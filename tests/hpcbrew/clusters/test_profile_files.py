from pathlib import Path

from hpcbrew.clusters import profile_files


def test_the_users_own_profile_wins_over_a_shipped_one(home: Path) -> None:
    own, shipped = profile_files.folders()
    own.mkdir(parents=True)
    (own / "iitd.yaml").touch()
    (own / "aachen.yaml").touch()
    found = profile_files.available()
    assert list(found) == sorted(found)
    assert (found["iitd"], found["aachen"], found["gadi"].parent) == (own / "iitd.yaml", own / "aachen.yaml", shipped)
