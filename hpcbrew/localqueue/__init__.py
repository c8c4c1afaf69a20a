"""A queue on this machine that behaves like PBS: qsub, qstat, qdel, qhold and qrls, and runners for the jobs.

There is no daemon. qsub records the job and starts a runner; a runner holds a slot, runs the queued jobs one after
another, and ends when none is left. A slot is a file lock that the runner's jobs inherit, so it is free exactly when
the runner and all processes of its job are gone, however they ended.
"""
