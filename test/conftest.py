"""Patches before anything else is imported, as `python -m ssmd` does; then what every test shares."""

from gevent import monkey

monkey.patch_all()
