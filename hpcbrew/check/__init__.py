"""Checks whether a cluster can run jobs: `checks` runs all checks in turn; each other module holds those of one
kind."""
