"""Draws the packages of ssmd, floor by floor, with what each is for and what it imports; all taken from the code.

Usage: python test/package_picture.py [--write]

Prints the picture. With --write it replaces the one between the marks in docs/design.md.
"""

import ast
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap

from house import FLOORS, PACKAGE, ROOT, packages

DESIGN = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- packages: made by test/package_picture.py -->", "<!-- end of packages -->"

HEAD = ("package", "what it is for", "imports")
WIDTHS = (10, 51, 38)

CLI = "The command line: it finds the command, and turns an error into a line and an exit code"
"""The docstring of cli.py is the usage of `ssmd`."""


def picture() -> str:
    """Return the drawing, one box for each floor, from the top down."""
    graph = packages()
    order = [name for floor in FLOORS for name in sorted(floor)]
    lines = [_rule("┌┬┐"), *_row(HEAD), _rule("╞╪╡", "═")]
    for floor in FLOORS:
        for name in sorted(floor & graph.keys()):
            lines += _row((name, purpose(name), ", ".join(sorted(graph[name], key=order.index))))
        lines.append(_rule("├┼┤"))
    lines[-1] = _rule("└┴┘")
    return "\n".join(lines) + "\n"


def purpose(name: str) -> str:
    """Return the first sentence of the docstring of a package or module at the top, without its full stop."""
    if name == "cli":
        return CLI
    folder, module = PACKAGE / name / "__init__.py", PACKAGE / f"{name}.py"
    docstring = ast.get_docstring(ast.parse((folder if folder.exists() else module).read_text())) or ""
    first = " ".join(docstring.split("\n\n")[0].split())
    return first.partition(". ")[0].removesuffix(".")


def _row(cells: Sequence[str]) -> list[str]:
    columns = [wrap(cell, width) or [""] for cell, width in zip(cells, WIDTHS, strict=True)]
    lines = zip_longest(*columns, fillvalue="")
    return ["│ " + " │ ".join(map(str.ljust, line, WIDTHS)) + " │" for line in lines]


def _rule(corners: str, stroke: str = "─") -> str:
    left, middle, right = tuple(corners)
    return left + middle.join(stroke * (width + 2) for width in WIDTHS) + right


def insert(document: Path, drawing: str) -> None:
    """Replace what is between the marks in a document. Raises ValueError when they are not there."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no line {END if begin else BEGIN}")
    document.write_text(f"{before}{BEGIN}\n\n```\n{drawing}```\n\n{END}{after}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        insert(DESIGN, picture())
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        print(picture(), end="")
