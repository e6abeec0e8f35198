"""The dialects of exchanges. Their catalog is in catalog.py, so that one part of a dialect can be imported alone."""
