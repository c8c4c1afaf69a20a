"""A stand-in for OpenPBS 23.06: its commands, answers and jobs, as tests/support/pbs_captures has them of a real one.

It shares no code with hpcbrew, so that a misconception of ours meets a witness that does not share it. State is one
JSON file under a lock, in a folder of its own with `config.json` (see `config`). There is no daemon: whoever calls a
command moves things on, and each job has a process that runs it (`runner`), as PBS's MOM does on a node.
"""
