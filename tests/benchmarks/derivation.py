"""Time of a slider's move on the page `derivation.html`: `python tests/benchmarks/derivation.py`.

Prints, for each slider, the best and the median of 20 moves on a picture of 256 pixels with all the
maps of the last section on the screen: computing, drawing and the numbers, in Chromium.
"""

from __future__ import annotations

from playwright.sync_api import sync_playwright

from paperlib.teaching import derivation
from paperlib.utils import system

MOVES = {
    "omega": [0.5 + 0.02 * i for i in range(20)],
    "patch": [3 + 2 * i for i in range(20)],
    "radius": [10 + 2 * i for i in range(20)],
    "t0": [0.1 + 0.02 * i for i in range(20)],
    "fraction": [0.01 + 0.01 * i for i in range(20)],
    "strength": [0.3 + 0.02 * i for i in range(20)],
}
MOVE = """async ([name, values]) => {
  const spent = [];
  for (const value of values) {
    state[name] = value;
    wanted = {all: true, changed: name};
    const start = performance.now();
    refresh();
    spent.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return spent.sort((a, b) => a - b);
}"""


def main() -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=system.browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(derivation.PAGE.as_uri())
        page.wait_for_selector("html[data-ready]")
        page.locator("#bench").scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        for name, values in MOVES.items():
            spent = page.evaluate(MOVE, [name, values])
            print(f"{name:9} best {spent[0]:5.0f} ms   median {spent[len(spent) // 2]:5.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
