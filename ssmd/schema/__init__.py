"""Checks messages against a schema. Nothing here knows a dialect, a file of ours or the network."""
