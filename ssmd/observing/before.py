"""What messages are compared with: what the days before have shown."""

from __future__ import annotations

from typing import NamedTuple

from ssmd.contracts.exchange import HeadDecoder, MessageReader
from ssmd.schema.compiled import Compiled, Structure
from ssmd.shape.drift import Known
from ssmd.shape.expected import expected

__all__ = ["Before"]


class Before(NamedTuple):
    """What the days before have shown."""

    known: Known
    accepts: Compiled | None = None
    """Decodes messages in which nothing is new for the dialect, and refuses others; None where that cannot be."""

    @classmethod
    def of(cls, known: Known, reader: MessageReader, heads: HeadDecoder | None) -> Before:
        """`heads`: how the dialect decodes the head of a message; None when that is not shared. Takes milliseconds."""
        forms = {} if heads is None else expected(known, reader.type_field, heads.type)
        if len(forms) < 2:  # Of a single type, msgspec would not demand that a message says it.
            return cls(known)
        return cls(known, Compiled({name: Structure(type, ()) for name, type in forms.items()}))
