"""Makes tables of recorded days."""
