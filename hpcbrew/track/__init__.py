"""Tracks what becomes of jobs, by combining the ledger, the scheduler's answers and the run folders."""
