"""Feeds over HTTP: requests made again and again, and what performs them."""
