"""Goes from a first login to a working account on a cluster, in four steps. Each may be repeated: it finds what is
done.

login    confirm the host's key, and install a key of the user's there
scratch  the folder for jobs and data, and the link ~/scratch
engine   a virtual environment with the engine, on scratch
trial    a job of one minute

`steps` runs them; each is a module that reports what it did to a function that it is given.
"""
