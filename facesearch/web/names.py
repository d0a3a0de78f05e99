"""The names by which this server may be addressed. A page elsewhere that resolves to it has another name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

__all__ = ["HostNames", "host_and_port"]


class HostNames:
    """The host names that requests may carry: addresses, `localhost`, this machine's own name, and those given.

    With DNS rebinding, a hostile page makes the browser send requests here that carry the page's own host name. An
    address in the place of a name cannot be rebound.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own.partition('.')[0]}.local", *(name.lower() for name in more)}

    def include(self, host: str) -> bool:
        """Whether a request with this `Host` header is meant for this server."""
        name, _ = host_and_port(host)
        return name in self._names or _is_address(name)


def host_and_port(host: str) -> tuple[str, str]:
    """Return the name and the port of a `Host` header, both lower case; the port is empty if there is none."""
    text = host.strip().lower()
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = text.partition(":")
    return name.removesuffix("."), port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
