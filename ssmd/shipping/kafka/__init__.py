"""Kafka: each block is one transaction, and so is the position at which it ends."""
