"""A real browser, Chromium without a window, driven by playwright in a process of its own.

The tests have gevent in place of Python's own threads and sockets, and playwright needs the latter. So a test asks the
process to call a method of a page, in one line of JSON, and gets what it returns in another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SECONDS = 60
"""How long a call may take: a busy machine needs longer."""


class BrowserError(AssertionError):
    """What the browser says is wrong."""


class Page:
    """A tab. Any method of playwright's Page can be called, with plain values."""

    def __init__(self, browser: Browser, number: int) -> None:
        self._browser = browser
        self._number = number

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._browser.ask(page=self._number, method=method, arguments=arguments, options=options)

    def text(self, selector: str) -> str:
        """Return the text of an element, once it is there."""
        return str(self.call("inner_text", selector))

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return int(self.call("evaluate", "selector => document.querySelectorAll(selector).length", selector))

    def wait_for(self, expression: str, argument: Any = None) -> None:
        """Wait until an expression of JavaScript is true. `argument`: what it is called with, if it is a function."""
        # The page's Content-Security-Policy lets playwright call functions, and evaluate no text.
        function = expression if "=>" in expression.partition(".")[0] else f"() => {expression}"
        self.call("wait_for_function", function, arg=argument)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element has a text in it."""
        try:
            find = "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)"
            self.wait_for(find, [selector, text])
        except BrowserError as error:
            raise BrowserError(f"{text!r} is not in {self.text(selector)!r}") from error

    def verdict(self, text: str, grade: str) -> None:
        """Wait until this is the verdict."""
        self.wait_for_text("h1", text)
        assert grade in str(self.call("get_attribute", ".verdict", "class")).split()

    @property
    def problems(self) -> list[str]:
        """What the browser has complained of: errors of scripts, and what the Content-Security-Policy has stopped."""
        return list(self._browser.ask(page=self._number, method="problems"))


class Browser:
    """The process."""

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="ssmd-browser-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__), self._profile.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=SECONDS)  # Its end of input ends it.
        self._profile.cleanup()

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer["result"]

    @contextmanager
    def page(self, address: str, **options: Any) -> Iterator[Page]:
        """Open `http://<address>/`. `options`: those of playwright's new_context()."""
        page = Page(self, self.ask(method="open", options={"viewport": {"width": 1280, "height": 800}, **options}))
        try:
            page.call("goto", f"http://{address}/")
            yield page
        finally:
            page.call("close")


def _note_problems(page: Any, found: list[str]) -> None:
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))


def main(profile: str) -> None:
    """Answer the questions of standard input until it ends."""
    from playwright.sync_api import sync_playwright

    pages: list[Any] = []
    problems: list[list[str]] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=FLAGS, env={"HOME": profile, "PATH": "/usr/bin:/bin"}
        )
        for line in sys.stdin:
            question = json.loads(line)
            try:
                if question["method"] == "open":
                    page = chromium.new_context(**question["options"]).new_page()
                    page.set_default_timeout(1000 * SECONDS)
                    found: list[str] = []
                    _note_problems(page, found)
                    pages.append(page)
                    problems.append(found)
                    result: Any = len(pages) - 1
                elif question["method"] == "problems":
                    result = problems[question["page"]]
                elif question["method"] == "close":
                    result = pages[question["page"]].context.close()
                else:
                    method = getattr(pages[question["page"]], question["method"])
                    result = method(*question["arguments"], **question["options"])
                print(json.dumps({"result": result}, default=lambda value: None), flush=True)
            except Exception as error:
                print(json.dumps({"error": f"{question}: {error}"}), flush=True)
        chromium.close()


if __name__ == "__main__":
    main(sys.argv[1])
