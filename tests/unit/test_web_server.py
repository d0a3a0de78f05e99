"""Slow, idle and greedy clients of the server, with deadlines that are small."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesearch.web import server
from facesearch.web.guard import HEADERS, Slowdown
from facesearch.web.limits import Limits
from facesearch.web.problems import ProblemError

Client = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LONG = 30.0


@pytest.fixture(autouse=True)
def small_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Protocol, "head_within", 0.2)
    monkeypatch.setattr(server, "_TICKS_TO_DROP", 2)


def run(app: ASGIApp, talk: Callable[[Client, server._Server], Coroutine[Any, Any, None]]) -> None:
    """Serve an application while a client talks to it."""

    async def both() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            served = server._Server(server._config(app), asyncio.Event())
            serving = asyncio.create_task(served.serve([taken]))
            opened = []

            async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                opened.append(await asyncio.open_connection("127.0.0.1", port))
                return opened[-1]

            try:
                await asyncio.wait_for(talk(connect, served), LONG)
            finally:
                for _, writer in opened:
                    writer.transport.abort()
                served.should_exit = True
                await serving

    asyncio.run(both())


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the server ends the connection."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte now and then, until the server has had enough."""
    while not writer.is_closing():
        try:
            writer.write(data)
            await writer.drain()
        except ConnectionError:
            return
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("begun", [b"", b"GET / HT", GET[:-2], GET + b"GET / HTTP/1.1\r\nHo"])
def test_a_head_that_does_not_come_is_not_waited_for(begun: bytes) -> None:
    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(begun)
        answers = await end_of(reader)
        assert answers.count(b"HTTP/1.1 200") == begun.count(b"\r\n\r\n")

    run(hello, talk)


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nX: ", GET + b"GET / HTTP/1.1\r\nX: "])
def test_a_head_that_drips_in_is_not_waited_for(begun: bytes) -> None:
    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(begun)
        dripping = asyncio.create_task(drip(writer, b"x"))
        await end_of(reader)
        writer.close()
        await dripping

    run(hello, talk)


def test_the_rest_of_an_answered_request_is_not_waited_for() -> None:
    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        answer = await reader.readuntil(b"hello")
        assert answer.startswith(b"HTTP/1.1 200")
        dripping = asyncio.create_task(drip(writer, b"x"))
        await end_of(reader)
        writer.close()
        await dripping

    run(hello, talk)


def test_a_request_that_was_refused_early_can_be_followed_by_another() -> None:
    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        await reader.readuntil(b"hello")
        writer.write(b"x" * 300_000 + GET)
        await reader.readuntil(b"hello")
        writer.close()

    run(hello, talk)


def test_an_answer_that_takes_longer_is_waited_for() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1)
        await hello(scope, receive, send)

    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(GET)
        assert b"200 OK" in await reader.readuntil(b"hello")
        writer.close()

    run(slow, talk)


def test_a_client_that_does_not_read_is_dropped() -> None:
    given: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            given.append(1)
            yield bytes(1 << 20)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(endless())(scope, receive, send)

    async def talk(connect: Client, served: server._Server) -> None:
        _, writer = await connect()
        writer.write(GET)
        while not served.server_state.connections:
            await asyncio.sleep(0.01)
        while served.server_state.connections:
            await asyncio.sleep(0.01)
        writer.close()

    run(Limits(app, to_send=0.2), talk)
    assert given


def test_a_body_that_does_not_come_is_told_and_not_waited_for() -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await hello(scope, receive, send)

    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        dripping = asyncio.create_task(drip(writer, b"x"))
        answer = await end_of(reader)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"the request took longer than 0.3 seconds" in answer
        writer.close()
        await dripping

    run(Limits(reading, to_receive=0.3), talk)


def test_what_is_not_http_is_refused_with_all_headers() -> None:
    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        answer = (await end_of(reader)).decode()
        assert answer.startswith("HTTP/1.1 400 Bad Request\r\n")
        assert all(f"{name}: {value}\r\n" in answer for name, value in HEADERS.items())
        assert "application/problem+json" in answer

    run(hello, talk)


def test_a_broken_body_after_the_answer_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.readuntil(b"hello")
        writer.write(b"no length\r\n")
        assert await end_of(reader) in (b"", b"\r\n0\r\n\r\n")

    run(hello, talk)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_more_connections_than_there_is_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Protocol, "most_connections", 2)
    monkeypatch.setattr(server._Protocol, "head_within", LONG)

    async def talk(connect: Client, _: server._Server) -> None:
        held = [await connect() for _ in range(2)]
        reader, _writer = await connect()
        assert (await end_of(reader)).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        for reader, writer in held:
            writer.write(GET)
            await reader.readuntil(b"hello")
            writer.close()

    run(hello, talk)


# The bounds alone


async def asked(app: ASGIApp, *pieces: bytes, length: int | None = None) -> int:
    """Return the status of the answer to a request whose body comes in pieces."""
    sent: list[Message] = []
    left = list(pieces)

    async def receive() -> Message:
        if not left:
            await asyncio.sleep(LONG)
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    await app({"type": "http", "headers": headers, "method": "POST", "path": "/"}, receive, send)
    status: int = sent[0]["status"]
    return status


async def read_whole(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        await asyncio.sleep(0)
    await hello(scope, receive, send)


def test_a_body_has_a_largest_size() -> None:
    bounded = Limits(read_whole, most_bytes=lambda _: 10)
    assert asyncio.run(asked(bounded, b"x" * 10)) == 200
    assert asyncio.run(asked(bounded, b"x" * 10, b"x")) == 413
    assert asyncio.run(asked(bounded, b"", length=11)) == 413
    assert asyncio.run(asked(bounded, b"", length=10)) == 200


def test_requests_have_a_largest_size_together() -> None:
    bounded = Limits(read_whole, most_in_hand=25)

    async def several() -> list[int]:
        return await asyncio.gather(*(asked(bounded, b"x" * 5, b"x" * 5) for _ in range(3)))

    for _ in range(3):  # what a refused request held is given back
        assert sorted(asyncio.run(several())) == [200, 200, 429]


def test_a_stream_may_last_longer_than_a_request_takes_to_come() -> None:
    async def events() -> AsyncIterator[bytes]:
        for _ in range(10):
            await asyncio.sleep(0.05)
            yield b"."

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(events())(scope, receive, send)

    async def talk(connect: Client, _: server._Server) -> None:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await end_of(reader)).count(b".\r\n") == 10
        writer.close()

    run(Limits(app, to_receive=0.1), talk)


def test_each_wrong_token_takes_twice_as_long_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slowdown = Slowdown(first=0.1, most=1.0)
    for _ in range(6):
        asyncio.run(slowdown.wait())
    assert slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    forgiving = Slowdown(first=0.1, forgiven=-1.0)
    for _ in range(2):
        asyncio.run(forgiving.wait())
    assert slept[-2:] == [0.1, 0.1]


def test_few_wrong_tokens_wait_at_once() -> None:
    slowdown = Slowdown(first=0.2, most=0.2, waiting=3)

    async def several() -> list[ProblemError | None]:
        return await asyncio.gather(*(one() for _ in range(5)))

    async def one() -> ProblemError | None:
        try:
            await slowdown.wait()
        except ProblemError as refused:
            return refused
        return None

    found = asyncio.run(several())
    assert found[:3] == [None] * 3
    assert [refused.status for refused in found[3:] if refused] == [HTTPStatus.TOO_MANY_REQUESTS] * 2
    asyncio.run(slowdown.wait())
