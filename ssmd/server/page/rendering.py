"""Renders the page, and its parts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

__all__ = ["PARTS", "Rendering"]

PARTS = ("verdict", "ages", "days", "rates", "channels", "behind", "figures", "run")
"""The parts that change while the page is open, each with a template of its own."""

_FOLDER = Path(__file__).with_name("templates")


class Rendering:
    """The templates, compiled once. `document`: that of the whole page; `parts`: the names of those that change."""

    def __init__(self, document: str = "page.html", parts: Sequence[str] = PARTS) -> None:
        self._document = document
        self._parts = parts
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def page(self, view: Mapping[str, Any]) -> str:
        """Return the whole document."""
        return self._environment.get_template(self._document).render(view)

    def parts(self, view: Mapping[str, Any]) -> dict[str, str]:
        """Return the HTML of each part, by its name."""
        return {name: self._environment.get_template(f"{name}.html").render(view) for name in self._parts}
