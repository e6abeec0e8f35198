"""ssmd, "stupid simple market data": collects every message of an exchange and keeps it, byte for byte."""

__version__ = "0.2.0.dev0"
