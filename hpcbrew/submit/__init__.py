"""Carries plans out: new jobs, jobs that resume another, jobs that wait for another."""
