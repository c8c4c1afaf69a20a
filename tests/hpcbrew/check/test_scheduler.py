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
    assert found == "walltime is 48:00:00, but the profile says 168:00:00"
    assert remedy == 'queues: {gpu: {walltime: "48:00:00"}} in the profile'


def test_a_limit_that_the_profile_does_not_know_is_worth_a_warning() -> None:
    ((_, mark, found, _),) = compare(site(queue="gpu", queues={"gpu": {"max_gpus": 2}}), GPU)
    assert (mark, found) == (Mark.WARN, "walltime is 48:00:00, but the profile says no limit")


def test_a_stricter_profile_is_sound() -> None:
    profile = site(queue="gpu", queues={"gpu": {"walltime": "24:00:00", "max_gpus": 1}})
    assert [row[1] for row in compare(profile, GPU)] == [Mark.OK]


def test_only_the_queue_that_jobs_use_makes_the_cluster_unfit() -> None:
    profile = site(queue="gpu", queues={"gpu": {"walltime": "1:00:00", "max_gpus": 2}, "low": {}})
    marks = {row[0]: row[1] for row in compare(profile, GPU)}
    assert marks == {"queue gpu": Mark.OK, "queue low": Mark.WARN}
    assert compare(site(queue="fast"), GPU)[0][1:3] == (Mark.BAD, "does not exist")


def test_a_closed_queue_is_named() -> None:
    closed = Queue("gpu", False, True, None, None, None, "")
    stopped = Queue("gpu", True, False, None, None, None, "")
    assert "accepts no jobs" in compare(site(queue="gpu"), closed)[0][2]
    assert "starts no jobs" in compare(site(queue="gpu"), stopped)[0][2]


def test_without_queues_in_the_profile_those_of_the_site_are_shown() -> None:
    members = Queue("staff", True, True, None, None, None, "users root")
    assert [row[2] for row in compare(site(), GPU, members)] == [
        "up to 48:00:00, 2 GPUs per job",
        "any walltime, for users root only",
    ]


def test_a_queue_that_takes_jobs_from_another_only_is_no_queue_to_name() -> None:
    route = Queue("ai", True, True, None, None, None, "", routes_to=("aiq1@pbs102",))
    inner = Queue("aiq1", True, True, 24 * HOUR, None, 1, "", routed=True, min_gpus=1)
    ((what, mark, found, remedy),) = compare(site(queue="aiq1"), route, inner)
    assert (what, mark, remedy) == ("queue aiq1", Mark.BAD, "--queue ai; in the profile, name that instead of aiq1")
    assert found == "accepts jobs only from a routing queue, and qsub refuses those that name it"
    shown = [row[1:3] for row in compare(site(), route, inner)]
    assert shown[1] == (Mark.OK, "up to 24:00:00, at least 1 GPU per job, 1 GPU per job, through queue ai only")


def test_a_queue_without_gpus_is_what_the_profile_says_it_is() -> None:
    none = Queue("short", True, True, None, None, 0, "")
    assert compare(site(queues={"short": {"gpus": False}}), none)[0][1:3] == (Mark.OK, "any walltime, no GPUs")
    assert compare(site(queues={"short": {}}), none)[0][2] == "max_gpus is 0, but the profile says no limit"


def walltime(profile: Cluster, setting: str | None, queue: Queue, *others: Queue) -> list[tuple[Mark, str, str]]:
    found = scheduler.default_walltime(profile, setting, queue, {other.name: other for other in (queue, *others)})
    return [(f.mark, f.found, f.remedy) for f in found]


def test_a_walltime_that_the_queue_refuses_is_told_where_nobody_asked_for_it() -> None:
    short = Queue("workq", True, True, 2 * HOUR, None, None, "")
    ((mark, found, remedy),) = walltime(site(walltime="24:00:00"), None, short)
    assert mark is Mark.WARN
    assert found == "a job without --walltime requests 24:00:00, but queue workq allows 02:00:00"
    assert remedy == "hpcbrew config set walltime 02:00:00 --cluster remote"
    assert walltime(site(walltime="24:00:00"), "1h", short) == []
    assert walltime(site(queue="workq", queues={"workq": {"walltime": "2:00:00"}}), None, short) == []
    assert walltime(site(walltime="24:00:00"), None, GPU) == []
    ((mark, found, _),) = walltime(site(), "many hours", short)
    assert mark is Mark.BAD
    assert "'many hours' is not a valid duration" in found


def test_a_routing_queue_takes_the_walltime_that_the_longest_queue_behind_it_takes() -> None:
    route = Queue("route", True, True, None, None, None, "", routes_to=("short", "low@pbs01"))
    short = Queue("short", True, True, HOUR, None, None, "")
    low = Queue("low", True, True, 4 * HOUR, None, None, "")
    ((_, found, _),) = walltime(site(walltime="24:00:00"), None, route, short, low)
    assert found.endswith("queue route allows 04:00:00")
    assert walltime(site(walltime="4:00:00"), None, route, short, low) == []
    endless = Queue("low", True, True, None, None, None, "")
    assert walltime(site(walltime="24:00:00"), None, route, short, endless) == []
    assert walltime(site(walltime="24:00:00"), None, route, short) == []  # nothing is known of the other one


NODES = [
    Node("a", True, 2, 1, {"centos": "skylake"}),
    Node("b", True, 2, 0, {"centos": "icelake"}),
    Node("c", False, 2, 0, {"centos": "skylake"}),
    Node("d", True, 0, 0, {"centos": "genoa"}),
]


def test_free_gpus_are_counted_by_type_on_nodes_that_are_up() -> None:
    (finding,) = scheduler.count(profiles.load("iitd"), NODES)
    assert (finding.mark, finding.found) == (Mark.OK, "3 of 4 free: V100 1 of 2 free, A100-40 2 of 2 free")


def test_kinds_of_gpus_may_be_one_of_several_names_or_so_much_memory() -> None:
    """As at NCAR, whose nodes have `gpu_type = a100,a100_80gb`, and at UBC, whose jobs ask for gpu_mem."""
    kinds = {"A100": {"select": {"gpu_type": "a100"}}, "32G": {"select": {"gpu_mem": "32gb"}}}
    nodes = [
        Node("a", True, 4, 1, {"gpu_type": "a100,a100_80gb", "gpu_mem": "81920mb"}),
        Node("b", True, 2, 0, {"gpu_type": "gp100", "gpu_mem": "16384mb"}),
    ]
    (finding,) = scheduler.count(site(gpus_per_node=4, gpu_types=kinds), nodes)
    assert finding.found == "5 of 6 free: A100 3 of 4 free, 32G 3 of 4 free"


def test_a_profile_with_more_gpus_a_node_than_there_are_is_told() -> None:
    (finding,) = scheduler.count(site(gpus_per_node=8), NODES)
    assert (finding.mark, finding.remedy) == (Mark.WARN, "gpus_per_node: 2 in the profile")
    (none,) = scheduler.count(site(gpus_per_node=8), NODES[3:])
    assert none.mark is Mark.WARN


CPUS = [
    Node("a", True, 0, 0, {"ncpus": "8", "mem": "64gb"}, {"ncpus": "3"}),
    Node("b", False, 0, 0, {"ncpus": "16", "mem": "64gb"}),
    Node("c[0]", True, 0, 0, {"ncpus": "10", "mem": "8gb", "host": "c"}),
    Node("c[1]", True, 0, 0, {"ncpus": "10", "mem": "8gb", "host": "c"}),
]


def test_cores_are_counted_and_how_many_a_machine_has() -> None:
    """Of nodes that are up those that are free; the largest machine may be down, and in parts."""
    (finding,) = scheduler.cpus(site(), CPUS)
    assert (finding.mark, finding.found) == (Mark.OK, "25 of 28 free; a node has 20 and 64.0 GiB at most")
    assert list(scheduler.cpus(site(), NODES)) == []


def test_a_profile_that_lets_a_job_ask_for_more_than_a_node_has_is_told() -> None:
    (finding,) = scheduler.cpus(site(cpus_per_node=32, mem_per_node="128G"), CPUS)
    assert (finding.mark, finding.remedy) == (Mark.WARN, "cpus_per_node: 20, mem_per_node: 64gb in the profile")
    assert "the profile says cpus_per_node: 32" in finding.found
    (asks,) = scheduler.cpus(site(resources={"cpus": 24}), CPUS)
    assert (asks.mark, asks.remedy) == (Mark.WARN, "resources: {cpus: 20} in the profile")


def test_the_limits_of_a_queue_in_words() -> None:
    queue = Queue("small", True, True, 1800, 1, None, "", max_cpus=2, min_walltime=60, max_queued=2)
    assert scheduler.limits(queue) == "00:01:00 to 00:30:00, 1 node, 2 cores per job, 2 jobs of yours at once"
    route = Queue("route", True, True, None, None, None, "", routes_to=("small", "low"))
    assert scheduler.limits(route) == "any walltime, routes to small, low"
