"""A stand-in for OpenPBS 23.06: its commands, answers and jobs, like those of a real one in tests/support/pbs_captures.

It shares no code with hpcbrew, so that it does not share hpcbrew's misconceptions either. The state is one JSON file
under a lock, in its own folder with `config.json` (see `config`). There is no daemon: each call of a command advances
the jobs, and each job has a process that runs it (`runner`), as PBS's MOM does on a node.
"""
