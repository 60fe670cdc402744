"""The page of a running centre. While its address is taken the gateway does without it, says so, and tries again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import structlog

from vpp_gateway.console.access import Access
from vpp_gateway.console.web import login_url
from vpp_gateway.errors import ConfigError

RETRY_S = 10.0
log = structlog.get_logger()


async def keep_page(
    serve: Callable[[], AbstractAsyncContextManager[str]],
    *,
    access: Access,
    url_file: Path,
    trouble: Callable[[str], None],
    retry_s: float = RETRY_S,
) -> None:
    """Serve until cancelled.

    Args:
        serve: Opens the page and yields its base URL; ConfigError = not now.
        access: Who may look.
        url_file: Where the operator finds the address that opens the page; mode 0600, absent while there is no page.
        trouble: Told what stands in the way, and "" when nothing does.
    """
    while True:
        try:
            _tell(url_file, None)
            async with serve() as base:
                _tell(url_file, login_url(base, access))
                trouble("")
                log.info("page", url_file=str(url_file))
                await asyncio.get_running_loop().create_future()  # until cancelled
        except (ConfigError, OSError) as failure:
            log.error("no page", why=str(failure))
            trouble(str(failure))
        await asyncio.sleep(retry_s)


def _tell(url_file: Path, url: str | None) -> None:
    url_file.unlink(missing_ok=True)
    if url is not None:
        handle = os.open(url_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(url + "\n")
