"""NATS: a stream of JetStream. Each block is one batch, of which all or nothing is stored, with its position in it."""
