"""The live page, for people: what /status says, drawn. It is imported at the first request for it."""
