"""A queue on this machine that behaves as PBS does: qsub, qstat, qdel, qhold and qrls, and runners for the jobs.

There is no daemon. qsub writes the job down and starts a runner; a runner holds a slot, runs what is queued, one job
after the other, and ends when nothing is left. A slot is a file lock that the runner's jobs inherit, so that it is free
when, and only when, the runner and all processes of its job are gone, however they went.
"""
