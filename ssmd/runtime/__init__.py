"""The run itself: the contracts of the parts, the runner that joins them, and what it tells the probes."""
