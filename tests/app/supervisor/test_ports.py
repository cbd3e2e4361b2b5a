"""Addresses that can be listened on, and URLs that reach them."""

import socket

import pytest

from app.errors import ConfigurationError
from app.supervisor.ports import check_port, free_port, url_of


def test_a_free_port_can_be_taken() -> None:
    check_port("127.0.0.1", free_port())


def test_a_port_that_somebody_listens_on_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 is taken"):
            check_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "reason"), [("192.0.2.1", "not an address of this machine"), ("no such host", "is not known")]
)
def test_an_address_that_is_not_ours_is_refused(host: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        check_port(host, 0)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_a_url_reaches_what_listens(host: str, url: str) -> None:
    assert url_of(host, 8000) == url
