"""Carries plans out: a new job, one that resumes another, one that waits for another."""
