"""Addresses: which are free, and how they are reached from this machine."""

import errno
import ipaddress
import socket

from app.errors import ConfigurationError


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` that nobody uses now."""
    return _bind(host, 0)


def check_port(host: str, port: int) -> None:
    """Make sure that `port` can be listened on.

    Raises:
        ConfigurationError: it is taken, or `host` is not an address of this machine.
    """
    try:
        _bind(host, port)
    except socket.gaierror:
        raise ConfigurationError(f"The host {host!r} is not known. Use 127.0.0.1, 0.0.0.0 or a name.") from None
    except OSError as error:
        reason = {
            errno.EADDRINUSE: f"Port {port} of {host} is taken by another program. Stop it, or choose another: --port.",
            errno.EADDRNOTAVAIL: f"{host} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for all.",
            errno.EACCES: f"Port {port} may only be used by root. Choose one above 1023: --port.",
        }.get(error.errno or 0, f"{host}:{port} cannot be listened on: {error.strerror}.")
        raise ConfigurationError(reason) from None


def url_of(host: str, port: int) -> str:
    """The URL at which a server that listens on `host` answers this machine."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{address}:{port}" if address.version == 4 else f"http://[{address}]:{port}"


def _bind(host: str, port: int) -> int:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        bound: int = listener.getsockname()[1]
        return bound
