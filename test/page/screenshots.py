"""Makes the pictures of docs/page.md anew: the page in each state, of real runs against the simulator.

    PYTHONPATH=test:test/page .venv/bin/python test/page/screenshots.py [<state>...]

It needs chromium and strace, and takes some minutes. Times and counts differ from one time to the next, because the
runs are real; all else is the same.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from browser import Browser
from palette import with_palette
from process import ROOT
from states import STATES

FOLDER = ROOT / "docs" / "images"
SETTLE_SECONDS = 12
"""How long a state has lasted when its picture is taken: some points of the chart."""
FURTHER: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "collecting-dark": ("collecting", {"color_scheme": "dark"}),
    "silent-400": ("silent", {"viewport": {"width": 400, "height": 800}}),
}
"""Other views of the states: the state, and options of the browser."""


def take(browser: Browser, name: str) -> None:
    """Take the pictures of a state."""
    state = STATES[name]
    further = {view: options for view, (of, options) in FURTHER.items() if of == name}
    views: Mapping[str, Mapping[str, Any]] = {name: {}, **further}
    with tempfile.TemporaryDirectory(prefix="ssmd-page-") as folder, state.run(Path(folder)) as running:
        for view, options in views.items():
            with browser.page(running.collector.listen, **options) as page:
                page.wait_for_text("#live", "Live")
                if name == "no answer":  # What it said last stays on the page.
                    page.wait_for_text("h1", "messages a second")
                running.fail()
                page.verdict(state.text, state.grade)
                if name != "disconnected":  # Another run will begin.
                    time.sleep(SETTLE_SECONDS)
                path = FOLDER / f"page-{view.replace(' ', '-')}.png"
                page.call("screenshot", path=str(path))
                path.write_bytes(with_palette(path.read_bytes()))
    print(f"{name}: {', '.join(views)}", flush=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with Browser() as chosen:
        for each in sys.argv[1:] or STATES:
            take(chosen, each)
