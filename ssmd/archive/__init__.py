"""The kept data, read back and proved: where it lies, its lines, its ledger and manifest, and whether they agree."""
