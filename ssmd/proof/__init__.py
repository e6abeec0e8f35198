"""Proof that a day holds what it should: examining, sealing, verifying and compacting it."""
