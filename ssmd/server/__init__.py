"""What the process shows of itself over HTTP: the probes and the metrics."""
