"""Several days worked on at once, by processes: the option --jobs, the processes, and the one display of progress."""
