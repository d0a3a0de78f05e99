"""A Milvus server of its own for tests: in a network namespace, reached through a forwarded port on loopback alone.

This server listens on all interfaces without a password and cannot be told otherwise. So it runs as this module's
program: that opens a port on loopback, moves into an empty network namespace, starts the server there, and forwards.
"""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["MilvusServer", "running_milvus"]

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_NOT_PERMITTED = "not permitted"
_SET_FLAGS, _UP = 0x8914, 0x1


@dataclass
class MilvusServer:
    """A running server. `folder` holds its data; `with_users` asks for passwords: that of root is Milvus."""

    folder: Path
    with_users: bool = False
    port: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _program: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def database(self) -> str:
        """Create an empty database and return its address."""
        from pymilvus import MilvusClient  # takes a second to import, and most test processes need none

        name = f"faces{next(self._numbers)}"
        client = MilvusClient(self.address, timeout=30)
        client.create_database(name, timeout=30)
        client.close()
        return f"{self.address}/{name}"

    def start(self) -> None:
        """Start it, again after `crash`, on the same port."""
        command = [sys.executable, __file__, str(self.folder), str(self.port), str(int(self.with_users))]
        self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._program.stdout is not None
        told = self._program.stdout.readline()
        if told.strip() == _NOT_PERMITTED:
            self.crash()
            raise PermissionError("no network namespace can be made")
        assert told, (self.folder / "logs/milvus-stderr.log").read_text()[-4000:]
        self.port = int(told)

    def crash(self) -> None:
        """Stop it at once, like a power cut."""
        assert self._program is not None
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.wait(60)
        self._program.stdout.close()


@contextmanager
def running_milvus(*, with_users: bool = False) -> Iterator[MilvusServer]:
    """Start a server, and stop it at the end; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="fs-milvus-"))
    server = MilvusServer(folder, with_users)
    try:
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(folder)


def _main(folder: str, port: str, with_users: str) -> None:
    from milvus import MilvusServer as Server

    for number in (signal.SIGINT, signal.SIGTERM):  # it ends with whoever started it, and only then
        signal.signal(number, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", int(port)))
    try:
        _move_into_empty_network()
    except PermissionError:
        sys.stdout.write(f"{_NOT_PERMITTED}\n")
        return
    server = Server()
    server.set_base_dir(folder)
    server.config.set("system_log_level", "warn")
    server.config.set("common.security.authorizationEnabled", "true" if int(with_users) else "false")
    server.start()
    threading.Thread(target=_accept, args=(listener, server.listen_port), daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()  # ends with whoever started this
    server.server_proc.kill()
    server.server_proc.wait()
    os._exit(0)


def _move_into_empty_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK | (_NEW_USER if os.geteuid() else 0)):
        raise PermissionError(ctypes.get_errno(), "no network namespace can be made")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14s", b"lo", _UP, b""))


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        client = listener.accept()[0]
        try:
            server = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            continue
        for here, there in ((client, server), (server, client)):
            here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_forward, args=(here, there), daemon=True).start()


def _forward(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(1 << 16):
            there.sendall(data)
    for end in (here, there):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    _main(*sys.argv[1:])
