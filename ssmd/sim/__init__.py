"""Simulated exchanges, for first steps and for tests: they need no account and no network."""
