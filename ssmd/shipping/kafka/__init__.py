"""The transport `kafka`: a topic. A block and the position at which it ends are one transaction."""
