"""The bytes that a visit costs on the network, and the hosts that receive requests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Visit:
    """One visit of *page* to *url* with an empty cache, until nothing is under way any more.

    Attributes:
        sizes: bytes of the network, headers included, as Chromium counts them, by kind of request.
        hosts: the hosts that received a request or a socket, with their ports.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.sizes, self.hosts = Counter[str](), set[str]()
        self._kinds: dict[str, str] = {}
        client = page.context.new_cdp_session(page)
        client.on("Network.requestWillBeSent", self._asked)
        client.on("Network.webSocketCreated", self._opened)
        client.on("Network.loadingFinished", self._loaded)
        client.send("Network.enable")
        client.send("Network.clearBrowserCache")
        page.goto(url)
        page.wait_for_load_state("networkidle")
        client.detach()

    @property
    def requests(self) -> int:
        """The number of requests."""
        return len(self._kinds)

    @property
    def total(self) -> int:
        """Bytes of everything."""
        return sum(self.sizes.values())

    @property
    def script(self) -> int:
        """Bytes of JavaScript in files."""
        return self.sizes["Script"]

    def _asked(self, event: dict[str, Any]) -> None:
        self._kinds[event["requestId"]] = event.get("type", "Other")
        self.hosts.add(urlsplit(event["request"]["url"]).netloc)

    def _opened(self, event: dict[str, Any]) -> None:
        self.hosts.add(urlsplit(event["url"]).netloc)

    def _loaded(self, event: dict[str, Any]) -> None:
        kind = self._kinds.get(event["requestId"], "Other")
        self.sizes[kind] += int(event["encodedDataLength"])
