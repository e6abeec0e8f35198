"""The format on disk: the line, the ledger, the manifest, their places, locks and durable writes."""
