"""The pages' sockets: `python -m bench.sockets [--open N]`, on one server process without pages.

A visitor opens a socket, hydrates the page, requests a code and enters it. Then many pages are open
at once, and each of them sends an event now and then.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
from argparse import ArgumentParser, Namespace
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from bench.load import Load, everybody
from bench.report import cores, head, machine, row, write
from bench.servers import LOAD_CORES, Server, ours
from bench.vendor import Vendor
from otp_app.identity.cookies import FlowCookies
from otp_app.identity.keyring import Keyring, Purpose
from tests.backend.client import HYDRATE, PING, PONG, STATE, frame
from tests.browser.providers import SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLERS = 16
PATIENCE = 20.0  # seconds for the reply to one event
OPENED_AT_ONCE = 32
SECONDS_BETWEEN = 10.0  # of two events of one open page: a person types, and the page polls

_cookies = FlowCookies(Keyring(SECRET_KEY.encode()).subkey(Purpose.FLOW_COOKIE), secure=False)
_tokens, _turns = count(), count()


class Tab:
    """One page with its socket, of a new person."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.person = next(everybody)
        self._socket = socket
        self._awaited = ""
        self._reply = asyncio.get_running_loop().create_future()

    async def read(self) -> None:
        """Handle the server's frames until the socket closes."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                return
            if message.data == PING:
                await self._socket.send_str(PONG)
            elif self._awaited and self._awaited in message.data and not self._reply.done():
                self._reply.set_result(message.data)

    async def join(self) -> None:
        """Join with the event of a page that loads, and wait until the page is hydrated."""
        router_data = {"pathname": "/", "asPath": "/"}
        event = {"name": HYDRATE, "payload": {}, "router_data": router_data}
        packet = "40/_event," + json.dumps({"event": event})
        await self._exchange(packet, '"is_hydrated_rx_state_":true')

    async def verify(self) -> None:
        """Request a code and enter it."""
        form = {"phone": self.person.phone, "country": "GB", "channel": "sms"}
        requested = frame(f"{STATE}.request_code", {"form": form})
        await self._exchange(requested, '"step_rx_state_":"code"')
        checked = frame(f"{STATE}.check_code", {"form": {"code": self.person.code}}, "/code")
        await self._exchange(checked, '"step_rx_state_":"verified"')

    async def type(self) -> None:
        """Send the event of a number that is being typed, and wait for its preview."""
        turn = f"turn-{next(_turns)}"
        form = {"phone": self.person.phone, "country": "GB", "channel": "sms", "turn": turn}
        await self._exchange(frame(f"{STATE}.preview_number", {"form": form}), turn)

    async def _exchange(self, packet: str, awaited: str) -> None:
        self._awaited, self._reply = awaited, asyncio.get_running_loop().create_future()
        await self._socket.send_str(packet)
        await asyncio.wait_for(self._reply, PATIENCE)


@asynccontextmanager
async def opened(session: ClientSession, port: int) -> AsyncIterator[Tab]:
    """Yield the tab of a new browser, at an address of its own, that has joined."""
    token = next(_tokens)
    headers = {
        "Cookie": _cookies.mint(),
        "Origin": f"http://127.0.0.1:{port}",
        "X-Forwarded-For": f"10.{token >> 16 & 255}.{token >> 8 & 255}.{token & 255}",
    }
    url = f"http://127.0.0.1:{port}/_event/?EIO=4&transport=websocket&token=tab-{token}"
    async with session.ws_connect(url, headers=headers) as socket:
        tab = Tab(socket)
        reading = asyncio.create_task(tab.read())
        await tab.join()
        yield tab
    await reading


async def visitors(session: ClientSession, port: int, seconds: float) -> Load:
    """Return the result of new visitors, `CALLERS` at a time, for *seconds*."""
    load, began = Load(), time.perf_counter()

    async def call() -> None:
        while (visit := time.perf_counter()) < began + seconds:
            async with opened(session, port) as tab:
                await tab.verify()
            load.times.append(time.perf_counter() - visit)

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    load.seconds = time.perf_counter() - began
    return load


async def events(tabs: list[Tab], seconds: float) -> Load:
    """Return the result of events on *tabs* in random order, spread evenly over *seconds*."""
    load, began = Load(), time.perf_counter()
    idle = random.sample(tabs, len(tabs))

    async def send(tab: Tab) -> None:
        sent = time.perf_counter()
        await tab.type()
        load.times.append(time.perf_counter() - sent)
        idle.insert(0, tab)

    async with asyncio.TaskGroup() as sending:
        for number in range(int(seconds * len(tabs) / SECONDS_BETWEEN)):
            due = began + number * SECONDS_BETWEEN / len(tabs)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sending.create_task(send(idle.pop()))
    load.seconds = time.perf_counter() - began
    return load


@asynccontextmanager
async def all_open(session: ClientSession, port: int, number: int) -> AsyncIterator[list[Tab]]:
    """Yield *number* open tabs."""
    tabs: list[Tab] = []
    close, room = asyncio.Event(), asyncio.Semaphore(OPENED_AT_ONCE)
    are_open = asyncio.Event()

    async def hold() -> None:
        await room.acquire()
        async with opened(session, port) as tab:
            room.release()
            tabs.append(tab)
            if len(tabs) == number:
                are_open.set()
            await close.wait()

    async with asyncio.TaskGroup() as holding:
        for _ in range(number):
            holding.create_task(hold())
        await are_open.wait()
        yield tabs
        close.set()


async def main(options: Namespace) -> None:
    """Print the table in `docs/performance.md`."""
    os.sched_setaffinity(0, LOAD_CORES)
    vendor = Vendor()
    await vendor.start()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        database = f"sqlite:///{folder}/otp.db"
        settings = {"SQLITE_SYNCHRONOUS": "NORMAL", "SOCKETS_IN_ALL": "1000000"}
        server = Server(ours("ours", vendor.url, database, **settings), Path(folder))
        try:
            await server.wait()
            async with ClientSession(connector=TCPConnector(limit=0)) as session:
                await _measure(server, session, options)
        finally:
            server.stop()
    write("", machine(), cores())


async def _measure(server: Server, session: ClientSession, options: Namespace) -> None:
    write(*head(("measured", "result")))
    await visitors(session, server.target.port, 1.0)  # a warm-up
    idle = server.resident
    write(row("memory of the idle server", f"{idle / 1e6:.0f} MB"))
    await _measure_visitors(server, session, options.seconds)
    await _measure_open(server, session, options.open, options.seconds)
    await asyncio.sleep(options.wait)
    ratio = server.resident / idle
    write(row(f"memory {options.wait:.0f} s after the last page has closed", f"{ratio:.2f} × idle"))


async def _measure_visitors(server: Server, session: ClientSession, seconds: float) -> None:
    memory, cpu = server.resident, server.cpu
    visits = await visitors(session, server.target.port, seconds)
    number = len(visits.times)
    write(row("new visitor, processor time", f"{1000 * (server.cpu - cpu) / number:.1f} ms"))
    write(row(f"new visitors, {CALLERS} at a time", f"{visits.rate:.0f} a second"))
    write(row("new visitor, p95", f"{visits.percentile(0.95):.0f} ms"))
    per_visitor = (server.resident - memory) / number
    write(row("memory of a visitor who has left", f"{per_visitor / 1000:.0f} kB"))


async def _measure_open(
    server: Server, session: ClientSession, number: int, seconds: float
) -> None:
    memory = server.resident
    async with all_open(session, server.target.port, number) as tabs:
        per_socket = (server.resident - memory) / number
        write(row(f"memory of an open socket, {number} open", f"{per_socket / 1000:.0f} kB"))
        cpu = server.cpu
        sent = await events(tabs, seconds)
        cost = 1000 * (server.cpu - cpu) / len(sent.times)
        write(row("event, processor time", f"{cost:.1f} ms"))
        write(row(f"event, p95 at {sent.rate:.0f} a second", f"{sent.percentile(0.95):.0f} ms"))


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m bench.sockets", description=__doc__)
    parser.add_argument("--open", type=int, default=500, help="number of open sockets (500)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (5)")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds before the last row (0)")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
