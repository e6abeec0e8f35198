"""The run: the runner and its greenlets, companions, metrics and logs. It knows the parts by their contracts alone."""
