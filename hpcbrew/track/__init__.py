"""What became of jobs: the ledger, the scheduler's answers and the run folders, brought together."""
