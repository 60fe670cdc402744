"""`identity show`, `identity csr`, `identity fingerprint` and `identity dev-ca`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vpp_gateway.catalogue import Lang, Told, text
from vpp_gateway.cli.common import (
    DEFAULT_CONFIG,
    DEGRADED,
    OK,
    SCHEMA_VERSION,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    remember_language,
    say,
)
from vpp_gateway.cli.words import day
from vpp_gateway.clock import SystemClock
from vpp_gateway.identity import (
    CertificateFacts,
    KeyKind,
    facts,
    key_pem,
    make_csr,
    make_dev_ca,
    make_key,
    read_certificate,
    read_key,
    subject,
    write_private,
    write_public,
)

DAY_S = 86400.0
EXPIRES_SOON_S = 30 * DAY_S
KEY_KINDS = ("p256", "rsa2048", "rsa3072", "rsa4096")

file_type = click.Path(path_type=Path)
force_option = click.option("--force", is_flag=True, help="Overwrite what is there.")
kind_option = click.option(
    "--kind", type=click.Choice(KEY_KINDS), default="p256", show_default=True, help="Kind of a new key."
)


@click.group
def identity() -> None:
    """Keys and certificates."""


@identity.command
@click.option("--cert", type=file_type, help="One certificate, instead of those of the configuration.")
@config_option
@json_option
@lang_option
@click.pass_context
def show(ctx: click.Context, cert: Path | None, config: Path | None, as_json: bool, lang: str | None) -> None:
    """Show certificates with the numbers that utilities ask for, and when they run out.

    Exits with 6 when one has run out or will within 30 days.
    """
    files = {"certificate": cert} if cert is not None else _configured(ctx, config)
    now = SystemClock().utc()
    shown = {name: (file, facts(read_certificate(file))) for name, file in files.items()}
    if as_json:
        rows = [{"name": name, "file": str(file), **asdict(said)} for name, (file, said) in shown.items()]
        print_json({"schema_version": SCHEMA_VERSION, "certificates": rows})
    else:
        for name, (file, said) in shown.items():
            say(f"{name}  {file}")
            say(describe(said, now, language(ctx)))
    worst = min(said.not_after - now for _, said in shown.values())
    late = any(said.not_before > now for _, said in shown.values())
    ctx.exit(DEGRADED if worst < EXPIRES_SOON_S or late else OK)


def describe(said: CertificateFacts, now: float, lang: Lang) -> str:
    """A certificate as a block of lines."""
    rows = (
        ("subject", said.subject),
        ("issuer", said.issuer),
        ("serial", said.serial),
        ("key", said.key),
        ("valid", f"{day(said.not_before)} – {day(said.not_after)} ({_left(said, now, lang)})"),
        ("fingerprint", said.fingerprint),
        ("fingerprint_sha1", said.fingerprint_sha1),
        ("lfdi", said.lfdi),
        ("sfdi", said.sfdi),
    )
    return "\n".join(f"  {text(f'identity.{name}', lang)}: {value}" for name, value in rows)


def _left(said: CertificateFacts, now: float, lang: Lang) -> str:
    if now < said.not_before:
        return text("identity.not_yet", lang, days=int((said.not_before - now) / DAY_S))
    days = int(abs(said.not_after - now) / DAY_S)
    return text("identity.days_left" if now < said.not_after else "identity.expired", lang, days=days)


def _configured(ctx: click.Context, config: Path | None) -> dict[str, Path]:
    """Name of each northbound connection -> its certificate."""
    from vpp_gateway.settings import load_settings

    if config is None and not DEFAULT_CONFIG.exists():
        raise click.UsageError(text("identity.need_input", language(ctx)))
    file = config or DEFAULT_CONFIG
    settings = load_settings(file, files=False)
    remember_language(ctx, settings.gateway.language)
    files = {room.name: room.tls.cert for room in settings.northbound if room.tls is not None}
    if not files:
        raise Told("identity.none", file=file)
    return files


@identity.command
@click.option(
    "--key", "key_file", type=file_type, required=True, help="Private key: used if it is there, else made."
)
@click.option("--out", "csr_file", type=file_type, required=True, help="Where to write the request.")
@click.option("--cn", required=True, help="Common name, as the utility or its CA demands.")
@click.option("--org", default="", help="Organization.")
@click.option("--country", default="", help="Country, two letters.")
@kind_option
@force_option
@lang_option
@click.pass_context
def csr(
    ctx: click.Context,
    key_file: Path,
    csr_file: Path,
    cn: str,
    org: str,
    country: str,
    kind: KeyKind,
    force: bool,
    lang: str | None,
) -> None:
    """Make a certificate request for the utility's CA, and its private key (mode 0600) where there is none.

    A key that is there is never overwritten by this command: --force is for the request alone.
    """
    name = subject(cn, org, country)
    if not key_file.exists():
        write_private(key_file, key_pem(make_key(kind)))
    write_public(csr_file, make_csr(read_key(key_file), name), force=force)
    say(text("identity.csr_written", language(ctx), csr=csr_file, key=key_file))


@identity.command
@click.argument("certificate", type=file_type)
@json_option
@lang_option
@click.pass_context
def fingerprint(ctx: click.Context, certificate: Path, as_json: bool, lang: str | None) -> None:
    """Print the OpenADR fingerprint of CERTIFICATE (last 10 bytes of its SHA-256)."""
    said = facts(read_certificate(certificate))
    if as_json:
        numbers = {"fingerprint": said.fingerprint, "fingerprint_sha1": said.fingerprint_sha1}
        print_json({"schema_version": SCHEMA_VERSION, "file": str(certificate), **numbers})
    else:
        say(said.fingerprint)


@identity.command("dev-ca")
@click.argument("folder", type=file_type)
@click.option(
    "--ven", "vens", multiple=True, default=("ven",), show_default=True, help="Name of a VEN; once per VEN."
)
@kind_option
@force_option
@lang_option
@click.pass_context
def dev_ca(
    ctx: click.Context, folder: Path, vens: tuple[str, ...], kind: KeyKind, force: bool, lang: str | None
) -> None:
    """Make a certificate authority for DEVELOPMENT ONLY in FOLDER, with a VTN and VEN certificates."""
    made = make_dev_ca(folder, now=SystemClock().utc(), vens=vens, kind=kind, force=force)
    names = ", ".join(("ca", "vtn", *made.vens))
    say(text("identity.dev_ca_written", language(ctx), folder=folder, names=names))
