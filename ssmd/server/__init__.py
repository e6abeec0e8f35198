"""What the process shows of itself over HTTP: the probes, the metrics, the page."""
