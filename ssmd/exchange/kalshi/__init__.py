"""The dialect of Kalshi. Its class is in dialect.py; the other files are its parts."""
