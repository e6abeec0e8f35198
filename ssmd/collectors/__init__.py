"""Asks running collectors how they are, for people at a terminal and for a page over several of them."""
