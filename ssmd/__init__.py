"""ssmd, "stupid simple market data": the collector one trusts with a market's history."""

__version__ = "0.1.0"
