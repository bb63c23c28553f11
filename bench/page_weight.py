"""Bytes and requests of a first visit to each page: `python -m bench.page_weight [URL]`.

The app must be running.
"""

from __future__ import annotations

import sys

from playwright.sync_api import sync_playwright

from tests.browser.install import find_browser
from tests.browser.weight import Visit

PAGES = ("/", "/code", "/verified", "/nowhere")


def main(url: str) -> None:
    """Print a line for each page: requests, kB in all and kB of each type of resource."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for path in PAGES:
            visit = Visit(browser.new_context().new_page(), url + path)
            sizes = visit.sizes.most_common()
            parts = ", ".join(f"{kind} {size / 1000:.1f}" for kind, size in sizes)
            total = visit.total / 1000
            sys.stdout.write(f"{path:10} {visit.requests:3} requests {total:6.1f} kB: {parts}\n")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:3000")
