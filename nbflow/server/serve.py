"""The application behind a socket, until it is told to end."""

import asyncio
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nbflow.errors import NbflowError

HEAD_SECONDS: Final = 10.0
"""How long a client may take to send a request's head, from its connection or the head's first byte on."""
LARGEST_HEAD: Final = 64 * 1024
IDLE_SECONDS: Final = 75
"""How long an unused connection is kept: longer than clients keep theirs, so that none closes under a request."""
MOST_CONNECTIONS: Final = 900
"""Below the 1024 files that a process may usually have; more are told to come back (503)."""
GRACE_SECONDS: Final = 2
"""How long requests that run may take to finish when the server ends."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, for clients that send slowly or without end: uvicorn itself waits for a head for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._stop_expecting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_bytes += len(data)
        if self._deadline is not None and self._head_bytes > LARGEST_HEAD:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._head_bytes = 0
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on that host. Raises NbflowError if there is no such host."""
    return all(ipaddress.ip_address(address[0]).is_loopback for _, address in _addresses(host, 0))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one. Raises NbflowError if it cannot be had."""
    family, address = _addresses(host, port)[0]
    listener = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio's TCP_NODELAY needs the protocol
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise NbflowError(
            f"the server cannot listen on {host} port {port}: {error.strerror}. End what listens there (another "
            "nbflow server?), or choose another place with --port and --host"
        ) from error
    return listener


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise NbflowError(f"there is no host {host!r} here: {error}") from error
    return [(family, address) for family, _, _, _, address in found]


@contextmanager
def serving(app: Starlette, listener: socket.socket, ended: threading.Event | None = None) -> Iterator[None]:
    """Answer requests on a thread of its own; leaving the block ends it. ``ended`` is set if it ends by itself."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            if ended is not None:
                ended.set()

    thread = threading.Thread(target=run, name="nbflow-server")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def serve(
    app: Starlette,
    listener: socket.socket,
    begun: Callable[[], None],
    ending: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until SIGINT or SIGTERM. Only for the main thread, which hears the signals.

    ``begun`` is called when requests are answered and the signals are heard; ``ending`` when it is to end, and what
    only waits is to be answered.
    """
    told = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serving(app, listener, told):
            begun()
            told.wait()
            ending()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
