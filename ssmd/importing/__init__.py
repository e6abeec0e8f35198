"""Recordings of other programs, brought in as days of the storage folder."""
