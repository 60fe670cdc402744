"""`config init`: asks a few things and writes a commented configuration that passes `config check`.

What it cannot know (addresses of devices, nameplates) it fills with figures of the right kind, marked `# <- yours`.
The addresses are of 192.0.2.0/24, which is reserved for documentation: nothing is ever ordered there by mistake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import click

from vpp_gateway.catalogue import LANGS, Told, text
from vpp_gateway.cli.common import DEFAULT_CONFIG, lang_option, language, remember_language, say
from vpp_gateway.profile import list_profiles
from vpp_gateway.settings import Settings, settings_schema
from vpp_gateway.settings_rules import rules, sharpen
from vpp_gateway.yaml_source import parse_yaml
from vpp_gateway.yaml_validate import validate

T = TypeVar("T", str, int, float)

BATTERY_PROFILE: Final = "sunspec-700-battery"
METER_PROFILE: Final = "sunspec-meter"
PROGRAM: Final = "generic-2.0b"
VTN_URL: Final = "http://127.0.0.1:8081/OpenADR2/Simple/2.0b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was asked."""

    name: str
    language: str
    vtn_url: str
    ven_name: str
    program: str
    sites: tuple[str, ...]
    import_max_kw: float
    batteries: int


@click.command
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_CONFIG)
@click.option("--name", help="Name of this gateway.")
@click.option("--language", "language_", type=click.Choice(LANGS), help="Language of operator texts.")
@click.option("--vtn-url", help="Address of the utility's VTN, up to /OpenADR2/Simple/2.0b.")
@click.option("--ven-name", help="VEN name agreed with the utility.")
@click.option("--program", help="Program profile: how the utility's signals become instructions.")
@click.option("--site", "sites", multiple=True, metavar="ID", help="Id of a site; once per site.")
@click.option("--import-max-kw", type=float, help="Contracted import of each site, kW.")
@click.option("--batteries", type=click.IntRange(0, 50), help="Batteries at each site.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing; take defaults for what is not given.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@lang_option
@click.pass_context
def init(
    ctx: click.Context,
    file: Path,
    name: str | None,
    language_: str | None,
    vtn_url: str | None,
    ven_name: str | None,
    program: str | None,
    sites: tuple[str, ...],
    import_max_kw: float | None,
    batteries: int | None,
    yes: bool,
    force: bool,
    lang: str | None,
) -> None:
    """Write a commented configuration to FILE (default: gateway.yaml)."""
    if file.exists() and not force:
        raise Told("config.exists", file=file)
    programs = ", ".join(list_profiles("programs"))
    answers = Answers(
        name=_answer(name, "Name of this gateway", "vpp-gateway", yes),
        language=_answer(language_, "Language of operator texts (en, ja)", language(ctx), yes),
        vtn_url=_answer(vtn_url, "Address of the utility's VTN", VTN_URL, yes),
        ven_name=_answer(ven_name, "VEN name agreed with the utility", "vpp-gateway", yes),
        program=_answer(program, f"Program profile ({programs})", PROGRAM, yes),
        sites=sites or tuple(_answer(None, "Site ids, separated by spaces", "site-1", yes).split()),
        import_max_kw=_answer(import_max_kw, "Contracted import of each site, kW", 10000.0, yes),
        batteries=_answer(batteries, "Batteries at each site", 2, yes),
    )
    schema = file.with_suffix(".schema.json")
    content = render(answers, schema.name)
    document = parse_yaml(content, str(file))
    base = file.absolute().parent
    validate(document, Settings, findings=rules(document.plain, base), hint=sharpen, context={"base": base})
    _write(file, content)
    _write(schema, json.dumps(settings_schema(), ensure_ascii=False, indent=2) + "\n")
    _say(ctx, file, schema, answers)


def render(answers: Answers, schema: str) -> str:
    """The configuration as commented YAML."""
    sites = "\n".join(_site(number, site, answers) for number, site in enumerate(answers.sites, start=1))
    return f"""\
# yaml-language-server: $schema=./{schema}
#
# Configuration of vpp-gateway. Check it with: vpp-gateway config check
# Power is in kW, energy in kWh. A number is always a size; the direction is in the name of the key.
# Paths are relative to this file. Lines marked "<- yours" hold figures of the right kind, not yours.

gateway:
  name: {_quoted(answers.name)}
  state_dir: state              # journal, telemetry and control socket
  language: {answers.language}                  # en or ja

# Utilities and aggregators that may call us. http:// is for a VTN on this machine only.
northbound:
  - protocol: openadr2
    name: utility               # your name for it; first part of every instruction's id
    program: {answers.program}   # what its signals mean: a profile of programs/
    vtn_url: {_quoted(answers.vtn_url)}
    ven_name: {_quoted(answers.ven_name)}
{_tls(answers.vtn_url)}
# One entry per data centre = per grid connection point.
sites:
{sites}
# Workload that can be shifted; the plug-in checks its own config.
plugins: []
#  - name: batch
#    plugin: process-lever
#    host_site: {answers.sites[0]}
#    sites: [{answers.sites[0]}]
#    config: {{}}

console:
  enabled: true
  host: 127.0.0.1               # other machines are let in with tls only
  port: 8080

timing:
  heartbeat_s: 1
  refresh_s: 5                  # at most a third of reversion_s
  hold_s: 900                   # an agent without the centre carries on for so long
  reversion_s: 30               # a battery that nobody renews falls back after so long
  arm_lead_s: 10

dispatch:
  baseline_window_s: 300        # the undisturbed load just before an event is its baseline
  opt_in_at_least: 0.9          # opt in when at least this share of the target can be held to the end
  bridge_reserve: 0.5           # battery power kept free for bridging while workload can carry the rest
"""


def _tls(vtn_url: str) -> str:
    """The block of certificates: written for https, shown as a comment for a VTN on this machine."""
    comment = "" if vtn_url.startswith("https://") else "# "
    return "".join(
        f"    {comment}{line}\n"
        for line in (
            "tls:                        # made with: vpp-gateway identity csr",
            "  ca: identity/utility-ca.pem",
            "  cert: identity/ven.pem",
            "  key: identity/ven.key     # mode 0600",
        )
    )


def _site(number: int, site: str, answers: Answers) -> str:
    host = f"192.0.2.{number}"
    batteries = "".join(_battery(site, host, unit) for unit in range(1, answers.batteries + 1))
    return f"""\
  - id: {site}
    name: {_quoted(site)}
    name_ja: {_quoted(site)}              # <- yours
    area: {_quoted("area-1")}              # grid area <- yours
    import_max_kw: {answers.import_max_kw:.15g}        # contracted import
    export_max_kw: 0            # 0 = no reverse flow <- yours
    meter: {{id: {site}-meter, profile: {METER_PROFILE}, host: {host}, port: 502, unit: 100}}   # <- yours
    # A second meter on another way, best read by the agent of another site; without one, a dead agent's site is unseen:
    # check_meter: {{id: {site}-check, profile: {METER_PROFILE}, host: {host}, port: 503, unit: 100{_read_by(site, answers)}}}
    batteries:{"" if batteries else " []"}
{batteries}"""


def _read_by(site: str, answers: Answers) -> str:
    """Who reads the check meter of a site: the next one, where there are several."""
    if len(answers.sites) < 2:
        return ""
    return f", read_by: {answers.sites[(answers.sites.index(site) + 1) % len(answers.sites)]}"


def _battery(site: str, host: str, unit: int) -> str:
    return f"""\
      - id: {site}-battery-{unit}
        profile: {BATTERY_PROFILE}
        host: {host}         # <- yours
        port: 502
        unit: {unit}
        discharge_max_kw: 1000  # <- yours
        charge_max_kw: 1000     # <- yours
        energy_kwh: 2000        # <- yours
        soc_min: 0.1            # shares, not percent
        soc_max: 0.95
        efficiency: 0.95        # one way
"""


def _quoted(said: str) -> str:
    return json.dumps(said, ensure_ascii=False)


def _answer(given: T | None, question: str, default: T, yes: bool) -> T:
    if given is not None:
        return given
    if yes:
        return default
    answer: T = click.prompt(question, default=default, type=type(default))
    return answer


def _write(file: Path, content: str) -> None:
    try:
        file.write_text(content, "utf-8")
    except OSError as error:
        raise Told("identity.unwritable", file=file, reason=error.strerror) from None


def _say(ctx: click.Context, file: Path, schema: Path, answers: Answers) -> None:
    remember_language(ctx, answers.language)
    lang = language(ctx)
    say(text("config.written", lang, file=file, schema=schema))
    folder = file.parent / "identity"
    if answers.vtn_url.startswith("https://"):
        said = text(
            "config.next_keys",
            lang,
            key=folder / "ven.key",
            csr=folder / "ven.csr",
            name=answers.ven_name,
            cert=folder / "ven.pem",
            ca=folder / "utility-ca.pem",
        )
        say(said)
    say(text("config.next", lang, file=file))
