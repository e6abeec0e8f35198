"""Following markets of Kalshi: which ones there are is known from its REST interface and its life cycle messages."""
