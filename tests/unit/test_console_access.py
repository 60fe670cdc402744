"""Secrets, rates and host names of the console."""

from __future__ import annotations

import pytest

from tests.unit.console_fake import ToyClock
from vpp_gateway.clock import SeededRng
from vpp_gateway.console.access import (
    LOOPBACK_HOSTS,
    ONE_TIME_MAX,
    SESSION_S,
    SESSIONS_MAX,
    Access,
    Rate,
    host_allowed,
)
from vpp_gateway.errors import ConfigError

BEARER = "b" * 32


def access(clock: ToyClock | None = None, bearer: str | None = BEARER) -> Access:
    return Access(clock or ToyClock(0.0), SeededRng(1), bearer)


def test_one_time_token_opens_once() -> None:
    gate = access()
    token = gate.issue()
    secret = gate.redeem(token)
    assert secret is not None and secret != token
    assert gate.redeem(token) is None
    assert gate.session(secret)
    assert not gate.session(token)
    assert not gate.session("")


def test_old_unused_tokens_and_old_sessions_are_forgotten() -> None:
    gate = access()
    tokens = [gate.issue() for _ in range(ONE_TIME_MAX + 1)]
    assert gate.redeem(tokens[0]) is None
    secrets = [gate.redeem(tokens[-1])]
    secrets += [gate.redeem(gate.issue()) for _ in range(SESSIONS_MAX)]
    alive = [secret for secret in secrets if secret is not None and gate.session(secret)]
    assert alive == secrets[1:]


def test_session_ends_after_its_hours() -> None:
    clock = ToyClock(100.0)
    gate = access(clock)
    secret = gate.redeem(gate.issue())
    assert secret is not None
    clock.now += SESSION_S - 1
    assert gate.session(secret)
    clock.now += 2
    assert not gate.session(secret)


def test_bearer() -> None:
    assert access().bearer(BEARER)
    assert not access().bearer(BEARER[:-1])
    assert not access().bearer("")
    assert not access(bearer=None).bearer("")
    assert not access().bearer("\udcff")  # a byte that is no UTF-8, as aiohttp hands it over
    with pytest.raises(ConfigError, match="5 characters, at least 24"):
        access(bearer="short")


def test_rate_refills_and_is_kept_per_peer() -> None:
    clock = ToyClock(0.0)
    rate = Rate(clock, per_s=2.0, burst=3.0)
    assert [rate.allow("a") for _ in range(4)] == [True, True, True, False]
    assert rate.allow("b")
    clock.now += 0.5
    assert [rate.allow("a") for _ in range(2)] == [True, False]
    clock.now += 1000.0
    assert [rate.allow("a") for _ in range(4)] == [True, True, True, False]


def test_rate_remembers_a_bounded_number_of_peers() -> None:
    rate = Rate(ToyClock(0.0), per_s=0.0, burst=1.0)
    assert rate.allow("first") and not rate.allow("first")
    for peer in range(Rate.PEERS_MAX):
        rate.allow(str(peer))
    assert rate.allow("first")


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8080", True),
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("127.0.0.1@evil.example", False),
        ("[::1", False),
    ],
)
def test_host_header(header: str, allowed: bool) -> None:
    assert host_allowed(header, LOOPBACK_HOSTS) is allowed
