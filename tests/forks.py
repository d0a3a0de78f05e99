"""Run commands of facesearch in forks of a process that has loaded the libraries: each saves half a second of imports.

Each command has a process, an environment, a working folder and pipes of its own, as if a shell had started it. Only
the work of `import` is shared. `python forks.py DESCRIPTOR` is the process that forks; it takes commands from a socket.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess

__all__ = ["Forks"]

_LONGEST = 120
"""Seconds that a command may take; then SIGALRM ends it."""


class Forks:
    """Runs commands of facesearch in forks of one process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is for Python itself as it starts; commands have their own."""
        from conftest import start_process

        self._connection, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = start_process(
                command, env=environment, stdin=DEVNULL, stdout=DEVNULL, pass_fds=[theirs.fileno()]
            )

    def close(self) -> None:
        """End the process that forks."""
        self._connection.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str | Path | bytes], environment: Mapping[str, str], folder: Path
    ) -> CompletedProcess[str]:
        """Run one command to its end and collect what it prints."""
        command = [os.fsdecode(argument) for argument in arguments]
        nothing, (out, its_out), (err, its_err) = os.open(os.devnull, os.O_RDONLY), os.pipe(), os.pipe()
        request = json.dumps({"arguments": command, "environment": dict(environment), "folder": str(folder)})
        socket.send_fds(self._connection, [request.encode() + b"\n"], [nothing, its_out, its_err])
        for descriptor in (nothing, its_out, its_err):
            os.close(descriptor)
        with ThreadPoolExecutor(2) as pool:
            stdout, stderr = pool.map(_read, (out, err))
        return CompletedProcess(command, int(self._connection.recv(16)), stdout, stderr)


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()


def _serve(connection: socket.socket) -> None:
    """Fork for each request, and send the fork's exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which close the socket as they end
    while True:
        data, descriptors, _, _ = socket.recv_fds(connection, 65536, 3)
        while data and not data.endswith(b"\n"):
            data += connection.recv(65536)
        if not data:
            return
        child = os.fork()
        if child == 0:
            connection.close()
            _become(json.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _become(command: dict[str, object], descriptors: Sequence[int]) -> None:
    """Run `python -m facesearch` as the request says, and end the process."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(_LONGEST)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        assert isinstance(command["arguments"], list)
        assert isinstance(command["environment"], dict)
        os.chdir(str(command["folder"]))
        os.environ.clear()
        os.environ.update(command["environment"])
        sys.path[0] = os.getcwd()
        sys.argv[1:] = command["arguments"]
        runpy.run_module("facesearch", run_name="__main__", alter_sys=True)
    except BaseException:  # as Python ends a program that raises
        traceback.print_exc()
    finally:
        os._exit(1)


def _load() -> None:
    """Import what commands import. Each command loads the networks itself: their threads would not survive a fork."""
    import faiss  # noqa: F401
    import platformdirs  # noqa: F401
    from PIL import Image
    from typer.main import get_command

    import facesearch
    from facesearch.models.libraries import onnxruntime_library

    for module in pkgutil.walk_packages(facesearch.__path__, "facesearch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    get_command(importlib.import_module("facesearch.cli").app)
    Image.preinit()
    onnxruntime_library()


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
