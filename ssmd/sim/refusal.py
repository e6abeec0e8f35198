"""The errors with which the simulated Kalshi refuses a command.

The numbers are those of https://docs.kalshi.com/asyncapi.yaml, "Error Codes Reference". 6, 16 and 17 are retired, and
never sent.
"""

from __future__ import annotations

__all__ = ["TEXTS", "Refusal", "text_of"]

TEXTS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
    27: "Too many requests",
}


class Refusal(Exception):
    """Raised for a command that cannot be carried out; it has changed nothing."""

    def __init__(self, code: int, detail: str = "") -> None:
        self.code = code
        self.text = f"{text_of(code)}: {detail}" if detail else text_of(code)
        super().__init__(self.text)


def text_of(code: int) -> str:
    """Return the text for an error number. Another number can only come from a fault; it gets the text of 10."""
    return TEXTS.get(code, "Channel error")
