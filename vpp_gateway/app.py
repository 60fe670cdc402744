"""Composition root: the processes of one gateway.

    run         supervisor -> two centres, one agent per site       (no work of its own)
    centre      journal -> replay -> rooms, link, solver worker, console, control socket
                whoever holds the journal is the centre, the other one stands by with everything loaded
    site        devices, plug-ins, link

Only this file and `compose_*` know every room; each process imports only what it needs.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from vpp_gateway import __version__
from vpp_gateway.clock import SystemClock, SystemRng
from vpp_gateway.domain.instruction import RoomName, SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.link.unix import SOCKET_NAME, LinkAgent, LinkCentre
from vpp_gateway.settings import Settings, fleet, load_settings
from vpp_gateway.supervise import Backoff, die_with_parent, supervise

if TYPE_CHECKING:
    from vpp_gateway.console.live import LiveSource
    from vpp_gateway.console.organs import WorkerState
    from vpp_gateway.engine import Engine
    from vpp_gateway.foresight import Foresight
    from vpp_gateway.housekeeping import Expiry
    from vpp_gateway.journal.messages import MessageStore
    from vpp_gateway.journal.records import FactCodec
    from vpp_gateway.journal.store import Journal

SECRET_NAME = "link.secret"
SECRET_MIN_LENGTH = 32
SUPERVISOR_LOCK = "run.lock"
URL_NAME = "console.url"
CENTRES = ("centre 1", "centre 2")
STAND_BY_S = 0.05
"""How often a centre that stands by tries for the journal."""


def run(settings: Settings, config: Path) -> int:
    """Supervise centres and agents until SIGTERM or SIGINT."""
    configure_logs()
    prepare_state(settings)
    alone = _only_supervisor(settings)
    python = (sys.executable, "-m", "vpp_gateway.app")
    tied = ("--parent", str(os.getpid()))
    centres = {name: (*python, "centre", str(config), *tied) for name in CENTRES}
    agents = {f"site {site.id}": (*python, "site", str(config), site.id, *tied) for site in settings.sites}
    backoffs = dict.fromkeys(agents, Backoff(first_s=settings.timing.agent_restart_s))
    try:
        asyncio.run(supervise((centres, agents), SystemClock(), backoffs))
    finally:
        alone.close()
    return 0


def run_site(settings: Settings, site: str) -> int:
    """The agent of one site, until SIGTERM or SIGINT."""
    configure_logs()
    prepare_state(settings)
    _until_told(_site(settings, SiteId(site)))
    return 0


def run_centre(settings: Settings) -> int:
    """The centre, until SIGTERM or SIGINT."""
    configure_logs()
    prepare_state(settings)
    _until_told(_centre(settings))
    return 0


def configure_logs() -> None:
    """One event a line on stderr; JSON where no person watches."""
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )


def prepare_state(settings: Settings) -> str:
    """Make the state folder (0700) and the link's secret (0600); returns the secret.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    folder = settings.gateway.state_dir
    path = folder / SECRET_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        if not path.exists():
            _make_secret(path)
        secret = path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"state folder {folder}: {error.strerror or error}") from error
    if len(secret) < SECRET_MIN_LENGTH:
        raise ConfigError(
            f"{path}: expected a secret of at least {SECRET_MIN_LENGTH} characters, found {len(secret)}; "
            "remove the file and start again, a new one is made"
        )
    return secret


def _make_secret(path: Path) -> None:
    """Write the secret under another name and link it: whoever sees the file sees it whole."""
    draft = path.with_name(f"{SECRET_NAME}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _only_supervisor(settings: Settings) -> TextIO:
    """Hold the state folder for this supervisor: two of them would be two writers on every device.

    Raises:
        ConfigError: another `vpp-gateway run` holds it.
    """
    path = settings.gateway.state_dir / SUPERVISOR_LOCK
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigError(
            f"{path}: another `vpp-gateway run` is at work on this state folder; stop it first"
        ) from None
    return file


def _until_told(work: Coroutine[None, None, None]) -> None:
    """Run a coroutine until it ends or SIGTERM / SIGINT comes."""

    async def main() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def _settle() -> None:
    """What start-up made stays for the life of the process: no later collection walks through it.

    Without this a full collection of the centre's objects holds its loop for 30 ms, whichever thread sets it off.
    """
    gc.collect()
    gc.freeze()


async def _site(settings: Settings, site: SiteId) -> None:
    from vpp_gateway.compose_site import compose_agent
    from vpp_gateway.southbound.workload.process import process_factory

    clock, rng = SystemClock(), SystemRng()
    folder = settings.gateway.state_dir
    agent, hosts = compose_agent(
        settings,
        site,
        state_dir=folder,
        secret=prepare_state(settings),
        clock=clock,
        rng=rng,
        plugin_transport=lambda _: process_factory(),
    )
    uplink = LinkAgent(
        path=folder / SOCKET_NAME,
        hello=agent.hello,
        on_message=agent.on_message,
        on_linked=agent.on_linked,
        clock=clock,
        rng=rng,
    )
    agent.connect(uplink, hosts)
    _settle()
    await agent.run()


async def _centre(settings: Settings) -> None:
    import vpp_gateway.console.control
    import vpp_gateway.console.live  # noqa: F401  # loaded before it is needed: a takeover does not wait for imports
    from vpp_gateway.compose_centre import (
        certificates,
        compose_rooms,
        host_of,
        journal_types,
        policy_of,
        wallets,
    )
    from vpp_gateway.engine import Engine
    from vpp_gateway.foresight import Foresight
    from vpp_gateway.gateway import Gateway
    from vpp_gateway.housekeeping import Expiry, Housekeeping, retention_job
    from vpp_gateway.journal.messages import FILE_NAME, MessageStore
    from vpp_gateway.journal.records import FactCodec
    from vpp_gateway.journal.telemetry import TelemetryStore
    from vpp_gateway.northbound.openadr2.record import LateRecorder
    from vpp_gateway.planner import PLANNER
    from vpp_gateway.solver import SOLVER
    from vpp_gateway.worker import ProcessWorker

    log = structlog.get_logger()
    clock, rng = SystemClock(), SystemRng()
    folder, sites = settings.gateway.state_dir, tuple(SiteId(site.id) for site in settings.sites)
    engines: list[Engine] = []

    async def deliver(room: RoomName, message: Any) -> str:
        return engines[0].receive(room, message)

    record = LateRecorder()
    rooms = compose_rooms(settings, clock, rng, deliver, record)
    codec = FactCodec(journal_types(room.session for room in rooms.values()))
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(await _journal_when_free(folder / "journal.db", codec))
        clock.reanchor()
        telemetry = stack.enter_context(TelemetryStore.open(folder / "telemetry.db", sites))
        messages = record.recorder = stack.enter_context(
            MessageStore.open(
                folder / FILE_NAME,
                max_bytes=int(settings.retention.messages_mb * 1e6),
                max_days=settings.retention.messages_days,
            )
        )
        foresight = Foresight(sites, settings.horizon.forecast, telemetry, clock)
        gateway = Gateway(fleet(settings), policy_of(settings), host_of(settings), foresight)
        engine = Engine(
            gateway=gateway, journal=journal, telemetry=telemetry, clock=clock, version=__version__
        )
        engines.append(engine)
        link = LinkCentre(
            path=folder / SOCKET_NAME,
            secret=prepare_state(settings),
            sites=sites,
            clock=clock,
            epoch=lambda: gateway.epoch,
            on_message=engine.from_site,
            on_linked=engine.linked,
        )
        solver = ProcessWorker(SOLVER, engine.solved)
        planner = ProcessWorker(PLANNER, engine.planned) if settings.horizon.enabled else None
        engine.connect(rooms=rooms, link=link, solver=solver, planner=planner)
        expiry = Expiry(certificates(settings.northbound), wallets(rooms))
        keeping = retention_job(
            journal,
            telemetry,
            ticks_days=settings.retention.ticks_days,
            telemetry_days=settings.retention.telemetry_days,
        )
        housekeeping = Housekeeping((expiry.job(), keeping), clock)
        result = engine.recover()
        log.info("recovered", facts=result.count, skipped=result.skipped, seconds=round(result.seconds, 3))
        engine.start()
        source = await _control(settings, stack, engine, (solver, planner), expiry, messages, foresight)
        _settle()
        async with asyncio.TaskGroup() as group:
            if settings.console.enabled:
                group.create_task(_page(settings, engine, source))
            group.create_task(engine.run())
            group.create_task(housekeeping.run())
            group.create_task(foresight.run(partial(_trouble, engine, "forecast")))


async def _journal_when_free(path: Path, codec: FactCodec) -> Journal:
    """Open the journal; while another centre writes it, stand by."""
    from vpp_gateway.journal.lock import JournalHeld
    from vpp_gateway.journal.store import Journal

    told = False
    while True:
        try:
            return Journal.open(path, codec)
        except JournalHeld as held:
            if not told:
                structlog.get_logger().info("standing by", why=str(held))
            told = True
        await asyncio.sleep(STAND_BY_S)


async def _control(
    settings: Settings,
    stack: AsyncExitStack,
    engine: Engine,
    workers: tuple[WorkerState, WorkerState | None],
    expiry: Expiry,
    messages: MessageStore,
    foresight: Foresight,
) -> LiveSource:
    """The control socket, and what it and the page show."""
    from vpp_gateway.compose_capacity import capacity_policy
    from vpp_gateway.console.capacity import LiveCapacity
    from vpp_gateway.console.control import serve_control
    from vpp_gateway.console.live import Identity, LiveSource
    from vpp_gateway.console.operator import Operator

    identity = Identity(name=settings.gateway.name, version=__version__, simulated=settings.gateway.simulated)
    solver, planner = workers
    source = LiveSource(engine, identity, solver, expiry.days_left, expiry.notes, planner)

    def second() -> None:
        _trouble(engine, "messages", messages.problem)
        loads = ((state.site.id, state.load_w) for state in engine.gateway.sites if state.fresh)
        foresight.add(engine.clock.utc(), ((site, w) for site, w in loads if w is not None))
        source.beat()

    engine.on_second = second
    capacities = LiveCapacity(engine, lambda: capacity_policy(settings), simulated=settings.gateway.simulated)
    folder = settings.gateway.state_dir
    await stack.enter_async_context(serve_control(source, folder, Operator(engine), capacities))
    return source


def _trouble(engine: Engine, source: str, why: str) -> None:
    """Show a standing trouble of somebody beside the engine; empty = it is over."""
    engine.trouble.pop(source, None)
    if why:
        engine.trouble[source] = why


async def _page(settings: Settings, engine: Engine, source: LiveSource) -> None:
    """The page, as long as the centre runs."""
    from vpp_gateway.console.access import Access
    from vpp_gateway.console.page import keep_page
    from vpp_gateway.console.web import Listen, serve_console

    access = Access(engine.clock, SystemRng())
    listen = Listen(host=settings.console.host, port=settings.console.port)

    await keep_page(
        lambda: serve_console(source, access, engine.clock, listen, tls=_console_tls(settings)),
        access=access,
        url_file=settings.gateway.state_dir / URL_NAME,
        trouble=partial(_trouble, engine, "page"),
    )


def _console_tls(settings: Settings) -> ssl.SSLContext | None:
    """The page's own TLS; the settings demand it wherever it listens beyond the loopback."""
    if settings.console.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.console.tls.cert, settings.console.tls.key)
    return context


def main(arguments: list[str]) -> int:
    """The supervisor's children: `centre CONFIG` or `site CONFIG SITE`, each with `--parent PID`."""
    match arguments:
        case [*rest, "--parent", pid]:
            die_with_parent(int(pid))
            return main(rest)
        case ["centre", config]:
            return run_centre(load_settings(Path(config)))
        case ["site", config, site]:
            return run_site(load_settings(Path(config), files=False), site)
        case _:
            raise SystemExit(
                "usage: python -m vpp_gateway.app centre CONFIG | site CONFIG SITE [--parent PID]"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
