"""What a first visit costs on the wire: `python bench/page_weight.py [URL]`, with the app running.

Bytes are those of the network, headers included, as Chromium counts them on a cold cache.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.install import find_browser

PAGES = ("/", "/code", "/verified", "/nowhere")


def main(url: str) -> None:
    """Write a line for each page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for path in PAGES:
            page = browser.new_context().new_page()
            sizes, kinds = Counter[str](), dict[str, str]()
            client = page.context.new_cdp_session(page)
            client.send("Network.enable")
            client.on("Network.responseReceived", lambda e, k=kinds: _note_kind(e, k))
            client.on("Network.loadingFinished", lambda e, s=sizes, k=kinds: _add(e, s, k))
            page.goto(url + path)
            page.wait_for_load_state("networkidle")
            parts = ", ".join(f"{kind} {size / 1000:.1f}" for kind, size in sizes.most_common())
            total = sum(sizes.values()) / 1000
            sys.stdout.write(f"{path:10} {len(kinds):3} requests {total:6.1f} kB: {parts}\n")
        browser.close()


def _note_kind(event: dict[str, Any], kinds: dict[str, str]) -> None:
    kinds[event["requestId"]] = event["type"]


def _add(event: dict[str, Any], sizes: Counter[str], kinds: dict[str, str]) -> None:
    sizes[kinds.get(event["requestId"], "?")] += int(event["encodedDataLength"])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:3000")
