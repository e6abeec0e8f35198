"""How long tests wait for what must come."""

PATIENCE = 240.0
"""Seconds, at most. Nothing needs so long: what comes is taken at once, and only what never comes takes this time. So
it is much longer than the longest stall of a busy machine.
"""
