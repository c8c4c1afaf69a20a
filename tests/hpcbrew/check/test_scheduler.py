from hpcbrew.check import scheduler
from hpcbrew.check.finding import Mark
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.schedulers.pbs_site import Node, Queue

HOUR = 3600
GPU = Queue("gpu", True, True, 48 * HOUR, None, 2, "")


def site(**values: object) -> Cluster:
    return Cluster.model_validate({**profiles.values("openpbs"), "name": "remote", **values})


def compare(profile: Cluster, *found: Queue) -> list[tuple[str, Mark, str, str]]:
    findings = scheduler.compare(profile, {queue.name: queue for queue in found})
    return [(f.what, f.mark, f.found, f.remedy) for f in findings]


def test_a_profile_that_lets_through_what_the_site_refuses_is_wrong() -> None:
    profile = site(queue="gpu", queues={"gpu": {"walltime": "168:00:00", "max_gpus": 2}})
    ((what, mark, found, remedy),) = compare(profile, GPU)
    assert (what, mark) == ("queue gpu", Mark.BAD)
    assert found == "walltime is 48:00:00, and the profile says 168:00:00"
    assert remedy == 'queues: {gpu: {walltime: "48:00:00"}} in the profile'


def test_a_limit_that_the_profile_does_not_know_is_worth_a_warning() -> None:
    ((_, mark, found, _),) = compare(site(queue="gpu", queues={"gpu": {"max_gpus": 2}}), GPU)
    assert (mark, found) == (Mark.WARN, "walltime is 48:00:00, and the profile says no limit")


def test_a_stricter_profile_is_sound() -> None:
    profile = site(queue="gpu", queues={"gpu": {"walltime": "24:00:00", "max_gpus": 1}})
    assert [row[1] for row in compare(profile, GPU)] == [Mark.OK]


def test_only_the_queue_that_jobs_use_makes_the_cluster_unfit() -> None:
    profile = site(queue="gpu", queues={"gpu": {"walltime": "1:00:00", "max_gpus": 2}, "low": {}})
    marks = {row[0]: row[1] for row in compare(profile, GPU)}
    assert marks == {"queue gpu": Mark.OK, "queue low": Mark.WARN}
    assert compare(site(queue="fast"), GPU)[0][1:3] == (Mark.BAD, "is not there")


def test_a_closed_queue_is_named() -> None:
    closed = Queue("gpu", False, True, None, None, None, "")
    stopped = Queue("gpu", True, False, None, None, None, "")
    assert "takes no jobs" in compare(site(queue="gpu"), closed)[0][2]
    assert "starts no jobs" in compare(site(queue="gpu"), stopped)[0][2]


def test_without_queues_in_the_profile_those_of_the_site_are_shown() -> None:
    members = Queue("staff", True, True, None, None, None, "users root")
    assert [row[2] for row in compare(site(), GPU, members)] == [
        "up to 48:00:00, 2 GPUs a job",
        "any walltime, for users root only",
    ]


NODES = [
    Node("a", True, 2, 1, {"centos": "skylake"}),
    Node("b", True, 2, 0, {"centos": "icelake"}),
    Node("c", False, 2, 0, {"centos": "skylake"}),
    Node("d", True, 0, 0, {"centos": "genoa"}),
]


def test_free_gpus_are_counted_by_type_on_nodes_that_are_up() -> None:
    (finding,) = scheduler.count(profiles.load("iitd"), NODES)
    assert (finding.mark, finding.found) == (Mark.OK, "3 of 4 free: V100 1 of 2 free, A100-40 2 of 2 free")


def test_a_profile_with_more_gpus_a_node_than_there_are_is_told() -> None:
    (finding,) = scheduler.count(site(gpus_per_node=8), NODES)
    assert (finding.mark, finding.remedy) == (Mark.WARN, "gpus_per_node: 2 in the profile")
    (none,) = scheduler.count(site(gpus_per_node=8), NODES[3:])
    assert none.mark is Mark.WARN
