"""From a first login to a working account on a cluster, in four steps. Each may be run again: it finds what is there.

login    the host's key confirmed, a key of the user's own known there
scratch  the folder for jobs and data, and the link ~/scratch
engine   a virtual environment with the engine, on scratch
trial    a job of a minute

`steps` goes through them; each is a module that is told where to report what it did.
"""
