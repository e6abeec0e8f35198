"""The transport `nats`: a stream of JetStream. A block and its position are one batch: all is stored, or nothing."""
