"""Training: learning-rate policies, update rules, the loop, snapshots."""
