"""The readers of a `dialect` section's fields: each returns a value of description.py, and reports what is wrong."""
