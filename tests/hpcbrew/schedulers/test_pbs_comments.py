import pytest

from hpcbrew.schedulers.pbs_comments import in_words

COMMENTS = {
    "Not Running: Insufficient amount of resource: ngpus (R: 2 A: 1 T: 2)": (
        "waits for GPUs: it requests 2, and 1 of 2 are free"
    ),
    "Can Never Run: Insufficient amount of resource: ncpus (R: 99 A: 8 T: 8) and terminated": (
        "can never run: it requests 99 cores, of 8 in all: cancel it, and request less"
    ),
    "Can Never Run: Not enough total nodes available": (
        "can never run: there are fewer nodes than it requests: cancel it, and request less"
    ),
    "Not Running: Not enough free nodes available": "not enough nodes are free",
    "Job Array Began at Sun Nov 22 at 19:32": "",
    "Not Running: Queue not started.": "its queue is stopped for now",
    "Job held by ee2110061 on Sun Nov 22 19:38:42 2026": "held by ee2110061 since Sun Nov 22 19:38:42 2026",
    # As NCAR's, MetaCentrum's, ABCI's, Imperial's and ASPIRE 2A's users were told.
    "Not Running: Insufficient amount of resource: Qlist": (
        "waits for a node with the Qlist that it needs, a resource of the site's own; perhaps another --queue or "
        "--gpu-type is meant: `hpcbrew cluster check` lists what there is"
    ),
    "Not Running: Insufficient amount of resource: vnode": "waits for the node that it requests",
    "Not Running: Insufficient amount of resource: ncpus ": (
        "waits for cores: no single node has what it requests; if none is that large (hpcbrew cluster check), "
        "cancel it and request less"
    ),
    "Not Running: Placement set is too small: Insufficient amount of resource: node_group (group_a != group_b)": (
        "no node has node_group=group_a: there are group_b"
    ),
    "Not Running: Placement set is too small": "no group of nodes that belong together has room for it",
    "Not Running: Node is in an ineligible state: offline": "a node that it could use is offline",
    "Not Running: Job is requesting an exclusive node and node is in use": (
        "it needs nodes for itself, and none is empty"
    ),
    "Not Running: would exceed overall limit on resource ngpus in queue gdev": (
        "no more GPUs may be in use at once in queue gdev"
    ),
    "Not Running: Something of the site's own": "Not Running: Something of the site's own",
    "": "",
}


@pytest.mark.parametrize("comment", COMMENTS)
def test_a_comment_is_put_in_words(comment: str) -> None:
    assert in_words(comment) == COMMENTS[comment]
