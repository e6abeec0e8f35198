"""A table in Markdown that is also readable in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["table"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown with aligned columns; columns of numbers are aligned to the right."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    right = [
        bool(rows) and all(re.fullmatch(r"~?-?[\d.,]+( %)?|behind|failed|", row[column]) for row in rows)
        for column in range(len(header))
    ]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (width - 1)}:" if to_right else "-" * width for width, to_right in zip(widths, right, strict=True)]
    return "\n".join([line(header), line(rule), *map(line, rows)])
