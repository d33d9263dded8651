"""The SMSPM clients to bare HTTP clients, which send the same request on pooled connections to the
same gateway: one call at a time, and 32 at once, one beside the other."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection

import httpx2
import requests

from benchmarks.common import best, row
from otpverify import AsyncSmspmClient, Message, SmspmClient
from otpverify.gateways.smspm import wire

CALLS = 1_600
AT_ONCE = 32
MESSAGE = Message("+37256789045", "123456 is your code. Do not share it.", "r" * 22)
BODY = b'{"status":"success","messageId":"1"}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


async def _serve(ready: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                writer.write(REPLY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def gateway(ready: Connection) -> None:
    """A gateway that takes every message, as fast as it can."""
    asyncio.run(_serve(ready))


def show(label: str, figure: str, ours: list[float], bare: list[float]) -> None:
    """Print the lower quartiles: what a call takes when nobody else has the core."""
    one, other = best(ours), best(bare)
    row(label, f"{one * 1e6:.0f}", f"{other * 1e6:.0f}", f"{one / other:.2f}", figure)


def threads(url: str, fields: dict[str, str]) -> None:
    session, client = requests.Session(), SmspmClient("hash", "token", url=url)
    ours, bare = [], []
    for _ in range(CALLS):
        began = time.perf_counter()
        session.post(url, json=fields, timeout=10).json()
        between = time.perf_counter()
        client.send(MESSAGE)
        ours.append(time.perf_counter() - between)
        bare.append(between - began)
    show("`SmspmClient.send` to `requests.Session.post`", "1.15", ours, bare)
    session.close()
    client.close()


async def tasks(url: str, fields: dict[str, str], together: int, figure: str) -> None:
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    client = AsyncSmspmClient("hash", "token", url=url)
    async with httpx2.AsyncClient(limits=limits) as bare_client:

        async def post() -> object:
            return (await bare_client.post(url, json=fields)).json()

        async def send() -> object:
            return await client.send(MESSAGE)

        ours, bare = [], []
        for _ in range(CALLS // together):
            began = time.perf_counter()
            await asyncio.gather(*(post() for _ in range(together)))
            between = time.perf_counter()
            await asyncio.gather(*(send() for _ in range(together)))
            ours.append(time.perf_counter() - between)
            bare.append(between - began)
    await client.aclose()
    label = "`AsyncSmspmClient.send` to `httpx2.AsyncClient.post`"
    show(label if together == 1 else f"the same, {together} at once", figure, ours, bare)


def main() -> None:
    ready, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=gateway, args=(theirs,))
    process.start()
    try:
        url = f"http://127.0.0.1:{ready.recv()}"
        client = SmspmClient("hash", "token", url=url)
        fields = wire.send_fields(client._api.account, MESSAGE)
        row("one send", "ours, us", "bare, us", "ratio", "to reach, at most")
        row("---", "---", "---", "---", "---")
        threads(url, fields)
        asyncio.run(tasks(url, fields, 1, "1.15"))
        asyncio.run(tasks(url, fields, AT_ONCE, "0.95"))
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
