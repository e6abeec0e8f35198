"""The live page of real collectors in a real browser: its verdicts, its messages, and who can use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, Page
from states import CHANNELS, collecting

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.one_day]

EVIL = "KX<img/src=x/onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def listen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a collector to which nothing happens."""
    with collecting(tmp_path_factory.mktemp("quiet")) as collector:
        yield collector.listen


def test_all_is_well(browser: Browser, listen: str):
    with browser.page(listen) as page:
        page.verdict("Collecting 3 markets, ", "good")
        page.wait_for_text("h1", "messages a second, complete since ")
        page.wait_for_text("#live", "Live")
        page.wait_for_text('[data-part="channels"]', "orderbook_delta")
        assert page.text("#brief") == "Collecting"
        before = page.text('[data-part="ages"]')
        page.wait_for("before => document.querySelector('[data-part=ages]').innerText !== before", before)
        assert page.problems == []


def test_an_engine_is_not_reached(browser: Browser, tmp_path: Path):
    environment = f"{CHANNELS}transport: {{type: nats, url: 'nats://127.0.0.1:9', stream: TEST}}\n"
    with collecting(tmp_path, environment=environment) as collector, browser.page(collector.listen) as page:
        page.verdict("Collecting, but nothing is copied to nats now", "attention")
        page.wait_for_text('[data-part="behind"]', "not reached")


def test_messages_with_filter_and_pause(browser: Browser, listen: str):
    with browser.page(listen) as page:
        page.wait_for("document.querySelectorAll('#tail-list li').length > 5")
        page.call("fill", "#tail-type", "trade")
        page.call("fill", "#tail-market", "SIM-B")
        page.call("press", "#tail-market", "Enter")
        only = "([...document.querySelectorAll('#tail-list .{}')].every(each => each.textContent === '{}'))"
        page.wait_for("document.querySelectorAll('#tail-list li').length > 1")
        assert page.call("evaluate", only.format("type", "trade"))
        assert page.call("evaluate", only.format("market", "KXSIM-B"))
        message = json.loads(page.call("evaluate", "document.querySelector('#tail-list li code').textContent"))
        assert (message["type"], message["msg"]["market_ticker"]) == ("trade", "KXSIM-B")
        page.call("click", "#tail-pause")
        assert page.call("get_attribute", "#tail-pause", "aria-pressed") == "true"
        before = page.text("#tail-list")
        ages = page.text('[data-part="ages"]')
        page.wait_for("before => document.querySelector('[data-part=ages]').innerText !== before", ages)
        assert page.text("#tail-list") == before
        assert page.problems == []


def test_hostile_names_stay_text(browser: Browser, tmp_path: Path):
    environment = f"subscribe:\n- channels: [ticker, trade, orderbook_delta]\n  market_tickers: [{json.dumps(EVIL)}]\n"
    fault = f"unknown-market={EVIL}"
    with collecting(tmp_path / "heard", environment=environment) as collector, browser.page(collector.listen) as page:
        page.wait_for_text("#tail-list .market", EVIL)
        assert "owned" not in page.call("title")
        assert page.count("main img, main script") == 0
        assert page.problems == []
    with (
        collecting(tmp_path / "not", "--fault", fault, environment=environment) as collector,
        browser.page(collector.listen) as page,
    ):
        page.wait_for_text('[data-part="channels"]', f": {EVIL}")
        assert "owned" not in page.call("title")
        assert page.problems == []


def test_without_scripts_it_loads_itself_again(browser: Browser, listen: str):
    with browser.page(listen, java_script_enabled=False) as page:
        assert "Collecting" in page.text("h1")
        assert "loads itself again" in page.text("#live")
        before = page.text('[data-part="verdict"]')
        with_new_figures = f'[data-part="verdict"]:not(:text-is({json.dumps(before)}))'
        page.call("wait_for_selector", with_new_figures)
        assert "This needs scripts" in page.text("#tail")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 400, 800, 1280])
def test_nothing_is_cut_off_at_any_width(browser: Browser, listen: str, width: int, scheme: str):
    with browser.page(listen, viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        page.wait_for("document.querySelectorAll('#tail-list li').length > 1")
        assert page.call("evaluate", "document.documentElement.scrollWidth") == width
        pale = page.call("evaluate", CONTRAST)
        assert pale == []


CONTRAST = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = numbers(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((numbers(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.getClientRects().length || element.closest("script, title, svg")) continue;
    const [one, two] = [light(getComputedStyle(element).color), light(back(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (two + 0.05) < 4.5) found.add(`${element.tagName}.${element.className}: ${text.slice(0, 30)}`);
  }
  return [...found];
}"""
"""Returns the elements with a text whose contrast is below 4.5, which WCAG 2 (1.4.3) demands for small text."""


def test_with_the_keyboard_alone(browser: Browser, listen: str):
    with browser.page(listen) as page:
        page.wait_for("document.querySelectorAll('#tail-list li').length > 1")
        order = []
        for _ in range(20):
            press(page, "Tab")
            order.append(page.call("evaluate", "document.activeElement.id || document.activeElement.textContent"))
        expected = ["Skip to the verdict", "tail-type", "tail-market", "tail-pause", "tail-list"]
        assert [each for each in order if each in expected][: len(expected)] == expected
        assert {"/status", "/metrics"} <= set(order)
        page.call("focus", "#tail-pause")
        press(page, "Space")
        assert page.text("#tail-pause") == "Go on"


def press(page: Page, key: str) -> None:
    page.call("press", ":focus, body", key)


def test_for_a_screen_reader(browser: Browser, listen: str):
    """Landmarks, headings, names, and a live region that changes only with the state."""
    with browser.page(listen) as page:
        page.wait_for_text("#live", "Live")
        counts = {
            "header": 1,
            "main": 1,
            "h1": 1,
            "section": page.count("section[aria-label], section[aria-labelledby]"),
            "input": page.count("label input"),
            "svg": page.count("svg[role=img][aria-label]"),
            "[aria-live], [role=status]": 1,
        }
        assert {selector: page.count(selector) for selector in counts} == counts
