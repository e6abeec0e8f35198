"""What looks at the messages in the collector's own process, and changes nothing."""
