"""Who may look: closed by default.

    way in                      kept as                     lives
    one-time token in a URL     consumed -> session cookie  12 h, gone with the process
    bearer token of the API     handed in by `app`          as long as its file

Secrets are drawn from the injected Rng (256 bit), held as SHA-256 and compared in constant time; they cannot be
guessed, so the limit on wrong ones only keeps the noise down. It must never lock out who holds a right one: behind
an SSH tunnel every client is 127.0.0.1.

The Host header is checked against a list: a foreign web page that rebinds its own name to 127.0.0.1 (DNS rebinding)
would otherwise speak to the console as if it were its origin.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from urllib.parse import urlsplit

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.errors import ConfigError

SESSION_S = 12 * 3600.0
SESSIONS_MAX = 64
ONE_TIME_MAX = 16
BEARER_MIN_LENGTH = 24
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Access:
    """Issues and checks the console's secrets.

    Args:
        clock: ages the sessions.
        rng: draws the secrets.
        bearer: token of API clients, at least 24 characters; None = no bearer access.

    Raises:
        ConfigError: `bearer` is too short to be a secret.
    """

    def __init__(self, clock: Clock, rng: Rng, bearer: str | None = None) -> None:
        if bearer is not None and len(bearer) < BEARER_MIN_LENGTH:
            raise ConfigError(
                f"console bearer token: {len(bearer)} characters, at least {BEARER_MIN_LENGTH} are needed"
            )
        self._clock = clock
        self._rng = rng
        self._bearer = _digest(bearer) if bearer is not None else None
        self._one_time: OrderedDict[bytes, None] = OrderedDict()
        self._sessions: OrderedDict[bytes, float] = OrderedDict()

    def issue(self) -> str:
        """A token that opens the console once; of more than 16 unused ones the oldest is forgotten."""
        token = self._rng.token(32).hex()
        self._one_time[_digest(token)] = None
        while len(self._one_time) > ONE_TIME_MAX:
            self._one_time.popitem(last=False)
        return token

    def redeem(self, token: str) -> str | None:
        """Trade a one-time token for a session secret (the cookie's value); None when it is not, or no longer, good."""
        found = _find(_digest(token), self._one_time)
        if found is None:
            return None
        del self._one_time[found]
        secret = self._rng.token(32).hex()
        self._sessions[_digest(secret)] = self._clock.monotonic() + SESSION_S
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return secret

    def session(self, secret: str) -> bool:
        """Whether `secret` is the cookie of a living session."""
        found = _find(_digest(secret), self._sessions)
        if found is None:
            return False
        if self._clock.monotonic() < self._sessions[found]:
            return True
        del self._sessions[found]
        return False

    def bearer(self, token: str) -> bool:
        """Whether `token` is the API token."""
        return self._bearer is not None and hmac.compare_digest(_digest(token), self._bearer)


class Rate:
    """A token bucket per peer address.

    Args:
        clock: fills the buckets.
        per_s: what flows in each second.
        burst: what a bucket holds at most.
    """

    PEERS_MAX = 1024

    def __init__(self, clock: Clock, *, per_s: float, burst: float) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, peer: str) -> bool:
        """Take one from the bucket of `peer`; False when it is empty."""
        now = self._clock.monotonic()
        level, filled_at = self._buckets.pop(peer, (self._burst, now))
        level = min(self._burst, level + (now - filled_at) * self._per_s)
        allowed = level >= 1.0
        self._buckets[peer] = (level - 1.0 if allowed else level, now)
        while len(self._buckets) > self.PEERS_MAX:
            self._buckets.popitem(last=False)
        return allowed


def host_allowed(header: str, allowed: frozenset[str]) -> bool:
    """Whether a Host header names one of `allowed`, whatever its port (tunnels change it)."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:  # for instance an unclosed bracket
        return False
    return name is not None and name in allowed


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _find(digest: bytes, known: OrderedDict[bytes, None] | OrderedDict[bytes, float]) -> bytes | None:
    """The equal digest among `known`, comparing all of them in constant time."""
    found = None
    for candidate in known:
        if hmac.compare_digest(digest, candidate):
            found = candidate
    return found
