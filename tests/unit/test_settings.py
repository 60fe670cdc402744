"""The operator's file: what is right becomes a fleet, what is wrong is refused at its line and column."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.compose_centre import compose_rooms
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.identity import make_dev_ca
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.profile import shipped_profiles
from vpp_gateway.settings import Settings, fleet, load_settings, settings_schema
from vpp_gateway.yaml_source import FILE_MAX_BYTES, InvalidFile, Problem

REPOSITORY = Path(__file__).parents[2]

GOOD = """\
gateway:
  name: Trial
  state_dir: state
northbound:
  - protocol: openadr2
    name: tso
    program: generic-2.0b
    vtn_url: http://127.0.0.1:8081/OpenADR2/Simple/2.0b
    ven_name: ven-1
sites:
  - id: tokyo-1
    name: Tokyo
    name_ja: 東京
    area: tokyo
    import_max_kw: 20000
    export_max_kw: 0
    meter: {id: m1, profile: sunspec-meter, host: 10.0.0.1, port: 502, unit: 1}
    batteries:
      - id: b1
        profile: sunspec-700-battery
        host: 10.0.0.2
        port: 502
        unit: 1
        discharge_max_kw: 2000
        charge_max_kw: 1500
        energy_kwh: 4000
        soc_min: 0.1
        soc_max: 0.9
        efficiency: 0.95
  - id: kanagawa-1
    name: Kanagawa
    name_ja: 神奈川
    area: kanagawa
    import_max_kw: 15000
    export_max_kw: 2000
    meter: {id: m2, profile: sunspec-meter, host: 10.0.1.1}
    batteries:
      - id: b2
        profile: sunspec-700-battery
        host: 10.0.1.2
        discharge_max_kw: 1500
        charge_max_kw: 1500
        energy_kwh: 3000
plugins:
  - name: batch
    plugin: process-lever
    host_site: tokyo-1
    sites: [tokyo-1]
    config: {anything: [1, 2]}
console:
  enabled: true
  host: 127.0.0.1
timing:
  heartbeat_s: 1
  refresh_s: 5
  hold_s: 60
  reversion_s: 30
"""


def write(folder: Path, content: str) -> Path:
    file = folder / "gateway.yaml"
    file.write_text(content, "utf-8")
    return file


def problems(folder: Path, content: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(folder, content), files=False)
    return caught.value.problems


def changed(old: str, new: str, count: int = 1) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new, count)


def place_of(content: str, mark: str) -> tuple[int, int]:
    """Line and column of the first `mark` in `content`; `§` in `mark` is where the column is."""
    before, _, after = mark.rpartition("§")
    offset = content.index(before + after) + len(before)
    return content.count("\n", 0, offset) + 1, offset - (content.rfind("\n", 0, offset) + 1) + 1


def test_the_good_file_is_good(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), files=False)
    assert settings.gateway.state_dir == tmp_path / "state"
    assert settings.timing.arm_lead_s == 10
    assert settings.northbound[0].sign is False
    assert settings.plugins[0].config == {"anything": [1, 2]}


def test_kilowatts_become_watts(tmp_path: Path) -> None:
    portfolio = fleet(load_settings(write(tmp_path, GOOD), files=False))
    tokyo, kanagawa = portfolio.sites
    assert (tokyo.import_max_w, tokyo.export_max_w, kanagawa.export_max_w) == (20e6, 0, 2e6)
    battery = portfolio.batteries[0]
    assert (battery.discharge_max_w, battery.charge_max_w, battery.energy_wh) == (2e6, 1.5e6, 4e6)
    assert (battery.soc_min, battery.soc_max, battery.efficiency) == (0.1, 0.9, 0.95)
    assert portfolio.batteries[1].soc_max == 0.95
    assert tokyo.name_ja == "東京"


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    write(folder, changed("  state_dir: state\n", ""))
    monkeypatch.chdir(tmp_path)
    assert load_settings(Path("etc/gateway.yaml"), files=False).gateway.state_dir == folder / "state"
    write(folder, changed("state_dir: state", "state_dir: /srv/vpp"))
    assert load_settings(Path("etc/gateway.yaml"), files=False).gateway.state_dir == Path("/srv/vpp")


# old text, new text, where the complaint stands (§ = its column; in the changed file), key, words of the complaint
WRONG: dict[str, tuple[str, str, str, str, str]] = {
    "flipped sign import": (
        "import_max_kw: 20000", "import_max_kw: -20000", "import_max_kw: §-20000",
        "sites[0].import_max_kw", "import_max_kw is > 0; the direction is in the name",
    ),
    "flipped sign export": (
        "export_max_kw: 2000", "export_max_kw: -2000", "export_max_kw: §-2000",
        "sites[1].export_max_kw", "export_max_kw is >= 0; the direction is in the name",
    ),
    "flipped sign charge": (
        "charge_max_kw: 1500", "charge_max_kw: -1500", "\n        charge_max_kw: §-1500",
        "sites[0].batteries[0].charge_max_kw", "the direction is in the name",
    ),
    "no import": (
        "import_max_kw: 20000", "import_max_kw: 0", "import_max_kw: §0",
        "sites[0].import_max_kw", "is 0; allowed: > 0",
    ),
    "W for kW": (
        "discharge_max_kw: 2000", "discharge_max_kw: 2000000", "discharge_max_kw: §2000000",
        "sites[0].batteries[0].discharge_max_kw", "is it written in W? then 2000 kW",
    ),
    "Wh for kWh": (
        "energy_kwh: 3000", "energy_kwh: 3000000", "energy_kwh: §3000000",
        "sites[1].batteries[0].energy_kwh", "is it written in W? then 3000 kW",
    ),
    "percent soc": (
        "soc_max: 0.9", "soc_max: 90", "soc_max: §90",
        "sites[0].batteries[0].soc_max", "a share 0..1; write 0.9 for 90 %",
    ),
    "percent efficiency": (
        "efficiency: 0.95", "efficiency: 95", "efficiency: §95",
        "sites[0].batteries[0].efficiency", "write 0.95 for 95 %",
    ),
    "empty window": (
        "soc_min: 0.1", "soc_min: 0.9", "soc_min: §0.9",
        "sites[0].batteries[0].soc_min", "soc_min 0.9 is not below soc_max 0.9",
    ),
    "number in words": (
        "import_max_kw: 20000", "import_max_kw: 20 MW", "import_max_kw: §20 MW",
        "sites[0].import_max_kw", "is '20 MW'; allowed: a number without quotes or unit",
    ),
    "number in quotes": (
        "energy_kwh: 4000", 'energy_kwh: "4000"', 'energy_kwh: §"4000"',
        "sites[0].batteries[0].energy_kwh", "a number without quotes",
    ),
    "infinite": (
        "import_max_kw: 20000", "import_max_kw: .inf", "import_max_kw: §.inf",
        "sites[0].import_max_kw", "allowed: a finite number",
    ),
    "not a number": (
        "energy_kwh: 4000", "energy_kwh: .nan", "energy_kwh: §.nan",
        "sites[0].batteries[0].energy_kwh", "allowed: a finite number",
    ),
    "bool for number": (
        "efficiency: 0.95", "efficiency: true", "efficiency: §true",
        "sites[0].batteries[0].efficiency", "is true; allowed: a number",
    ),
    "nothing": (
        "area: tokyo", "area:", "§area:",
        "sites[0].area", "is empty; allowed: text",
    ),
    "mistyped key": (
        "        profile: sunspec-700-battery", "        profle: sunspec-700-battery", "        §profle",
        "sites[0].batteries[0].profle", "unknown key; allowed: id, profile, host",
    ),
    "unknown key": (
        "area: tokyo", "area: tokyo\n    colour: green", "    §colour",
        "sites[0].colour", "unknown key; allowed: id, name, name_ja, area",
    ),
    "unknown section": (
        "console:", "konsole:", "§konsole",
        "konsole", "did you mean 'console'?",
    ),
    "missing key": (
        "    ven_name: ven-1\n", "", "  - §protocol",
        "northbound[0].ven_name", "is missing; it says: VEN name agreed with the utility.",
    ),
    "missing in flow": (
        "id: m1, profile: sunspec-meter, host: 10.0.0.1,", "id: m1, profile: sunspec-meter,", "    §meter: {id: m1",
        "sites[0].meter.host", "is missing; it says: IP address or host name.",
    ),
    "missing section": (
        "gateway:\n  name: Trial\n  state_dir: state\n", "", "§northbound",
        "gateway", "is missing; it says: This gateway.",
    ),
    "choice": (
        "  name: Trial", "  name: Trial\n  language: jp", "language: §jp",
        "gateway.language", "is 'jp'; allowed: en, ja",
    ),
    "protocol": (
        "protocol: openadr2", "protocol: openadr3", "protocol: §openadr3",
        "northbound[0].protocol", "did you mean 'openadr2'?",
    ),
    "port": (
        "        port: 502", "        port: 65536", "        port: §65536",
        "sites[0].batteries[0].port", "is 65536; allowed: <= 65535",
    ),
    "port with fraction": (
        "        port: 502", "        port: 502.5", "        port: §502.5",
        "sites[0].batteries[0].port", "allowed: a whole number",
    ),
    "unit": (
        "        unit: 1", "        unit: 256", "        unit: §256",
        "sites[0].batteries[0].unit", "allowed: <= 255",
    ),
    "number as id": (
        "      - id: b1", "      - id: 007", "id: §007",
        "sites[0].batteries[0].id", "put it in quotes",
    ),
    "id with blank": (
        "      - id: b1", "      - id: b 1", "id: §b 1",
        "sites[0].batteries[0].id", "allowed: 1-64 of A-Z a-z 0-9 . _ -",
    ),
    "switch in words": (
        "enabled: true", "enabled: yes", "enabled: §yes",
        "console.enabled", "is 'yes'; allowed: true or false",
    ),
    "list expected": (
        "sites: [tokyo-1]", "sites: tokyo-1", "sites: §tokyo-1",
        "plugins[0].sites", "allowed: a list of '- ' lines",
    ),
    "mapping expected": (
        "meter: {id: m2, profile: sunspec-meter, host: 10.0.1.1}", "meter: m2", "meter: §m2",
        "sites[1].meter", "allowed: a block of 'key: value' lines",
    ),
    "same site twice": (
        "- id: kanagawa-1", "- id: tokyo-1", "§tokyo-1\n    name: Kanagawa",
        "sites[1].id", "'tokyo-1' is already used at line 11 (sites[0].id)",
    ),
    "same device id": (
        "- id: b2", "- id: b1", "§b1\n        profile: sunspec-700-battery\n        host: 10.0.1.2",
        "sites[1].batteries[0].id", "'b1' is already used at line 19",
    ),
    "meter and battery of one name": (
        "- id: b2", "- id: m1", "§m1\n        profile",
        "sites[1].batteries[0].id", "'m1' is already used at line 17 (sites[0].meter.id)",
    ),
    "one battery at two sites": (
        "host: 10.0.1.2", "host: 10.0.0.2", "§10.0.0.2\n        discharge_max_kw: 1500",
        "sites[1].batteries[0].host", "10.0.0.2:502 unit 1 is already the device at line 19 (sites[0].batteries[0])",
    ),
    "unknown host site": (
        "host_site: tokyo-1", "host_site: tokio-1", "host_site: §tokio-1",
        "plugins[0].host_site", "allowed: tokyo-1, kanagawa-1; did you mean 'tokyo-1'?",
    ),
    "unknown plug-in site": (
        "sites: [tokyo-1]", "sites: [tokyo-1, kanagawa-2]", "§kanagawa-2",
        "plugins[0].sites[1]", "did you mean 'kanagawa-1'?",
    ),
    "refresh too slow": (
        "refresh_s: 5", "refresh_s: 11", "refresh_s: §11",
        "timing.refresh_s", "larger than a third of reversion_s 30; allowed: refresh_s <= 10",
    ),
    "reversion too short for the default": (
        "  refresh_s: 5\n  hold_s: 60\n  reversion_s: 30\n", "  reversion_s: 9\n", "reversion_s: §9",
        "timing.reversion_s", "refresh_s 5 is larger than a third of reversion_s 9",
    ),
    "heartbeat too slow": (
        "heartbeat_s: 1", "heartbeat_s: 6", "heartbeat_s: §6",
        "timing.heartbeat_s", "allowed: heartbeat_s <= refresh_s",
    ),
    "hold too short": (
        "hold_s: 60", "hold_s: 5", "hold_s: §5",
        "timing.hold_s", "allowed: hold_s > refresh_s",
    ),
    "time without length": (
        "reversion_s: 30", "reversion_s: 0", "reversion_s: §0",
        "timing.reversion_s", "is 0; allowed: > 0",
    ),
    "open console": (
        "  host: 127.0.0.1\ntiming", "  host: 0.0.0.0\ntiming", "host: §0.0.0.0",
        "console.host", "would be reachable from other machines in clear text",
    ),
    "clear text VTN": (
        "http://127.0.0.1:8081", "http://vtn.example:8081", "vtn_url: §http",
        "northbound[0].vtn_url", "would carry orders in clear text to vtn.example",
    ),
    "clear text standby": (
        "ven_name: ven-1", "ven_name: ven-1\n    standby_urls: [http://vtn.example:8081]", "standby_urls: [§http",
        "northbound[0].standby_urls[0]", "would carry orders in clear text to vtn.example",
    ),
    "clear text push": (
        "ven_name: ven-1",
        "ven_name: ven-1\n    push: {host: 0.0.0.0, port: 8443, public_url: http://a.example/b}", "host: §0.0.0.0",
        "northbound[0].push.host", "would take orders in clear text on 0.0.0.0",
    ),
    "push certificate without key": (
        "ven_name: ven-1",
        "ven_name: ven-1\n    push: {port: 8443, public_url: http://a.example/b, cert: a.pem}", "cert: §a.pem",
        "northbound[0].push.cert", "cert and key belong together",
    ),
    "https without tls": (
        "http://127.0.0.1:8081", "https://vtn.example", "vtn_url: §https",
        "northbound[0].vtn_url", "needs the block tls: with ca, cert and key",
    ),
    "signing without key": (
        "ven_name: ven-1", "ven_name: ven-1\n    sign: true", "sign: §true",
        "northbound[0].sign", "needs the block tls:",
    ),
    "url of a service": (
        "Simple/2.0b", "Simple/2.0b/EiEvent", "vtn_url: §http",
        "northbound[0].vtn_url", "ends in the service EiEvent",
    ),
    "url without scheme": (
        "http://127.0.0.1:8081", "127.0.0.1:8081", "vtn_url: §127",
        "northbound[0].vtn_url", "allowed: https://HOST[:PORT]/PATH",
    ),
    "url with password": (
        "http://127.0.0.1:8081", "http://me:secret@127.0.0.1:8081", "vtn_url: §http",
        "northbound[0].vtn_url", "without user, query or fragment",
    ),
    "fingerprint": (
        "ven_name: ven-1", "ven_name: ven-1\n    vtn_fingerprint: 12:AB", "vtn_fingerprint: §12:AB",
        "northbound[0].vtn_fingerprint", "10 pairs of hex digits with colons",
    ),
    "poll": (
        "ven_name: ven-1", "ven_name: ven-1\n    poll_s: 0.5", "poll_s: §0.5",
        "northbound[0].poll_s", "is 0.5; allowed: >= 1",
    ),
    "resources of no site": (
        "ven_name: ven-1", "ven_name: ven-1\n    resource_ids: {tokyo-2: [RES-1]}", "tokyo-2: §[RES-1]",
        "northbound[0].resource_ids.tokyo-2", "there is no site 'tokyo-2'; allowed: tokyo-1, kanagawa-1",
    ),
    "one resource at two sites": (
        "ven_name: ven-1", "ven_name: ven-1\n    resource_ids: {tokyo-1: [R-1], kanagawa-1: [R-2, R-1]}", "R-2, §R-1",
        "northbound[0].resource_ids.kanagawa-1[1]", "R-1",
    ),
    "long state folder": (
        "state_dir: state", f"state_dir: /{'x' * 120}", f"state_dir: §/{'x' * 120}",
        "gateway.state_dir", "a socket address holds 107",
    ),
    "source": (
        "gateway:\n", "verified: yes\ngateway:\n", "verified: §yes",
        "verified", "allowed: primary, secondary, unverified",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(WRONG))
def test_each_mistake_is_refused_at_its_place(case: str, tmp_path: Path) -> None:
    old, new, mark, key, words = WRONG[case]
    content = changed(old, new)
    found = problems(tmp_path, content)
    assert [problem.key for problem in found] == [key], [problem.say() for problem in found]
    assert words in found[0].what("en")
    assert (found[0].line, found[0].column) == place_of(content, mark)


@pytest.mark.parametrize("case", sorted(WRONG))
def test_each_mistake_is_told_in_japanese(case: str, tmp_path: Path) -> None:
    old, new, *_ = WRONG[case]
    (found,) = problems(tmp_path, changed(old, new))
    assert re.search(r"[ぁ-んァ-ヶ一-龠]", found.say("ja"))
    assert found.say("ja").startswith(f"{tmp_path}/gateway.yaml:{found.line}:{found.column}: {found.key}: ")


def test_there_are_enough_of_them() -> None:
    assert len(WRONG) >= 40


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    content = GOOD
    wanted = []
    for case in (
        "choice",
        "fingerprint",
        "flipped sign import",
        "mistyped key",
        "same device id",
        "refresh too slow",
    ):
        old, new, _, key, _ = WRONG[case]
        content = content.replace(old, new, 1)
        wanted.append(key)
    found = problems(tmp_path, content)
    assert [problem.key for problem in found] == wanted
    text = str(InvalidFile(found))
    assert text.count("\n") == len(wanted) - 1
    assert all(re.match(r".*gateway\.yaml:\d+:\d+: [\w.\[\]]+: .+", line) for line in text.splitlines())


def test_rules_and_field_errors_stand_side_by_side(tmp_path: Path) -> None:
    content = changed("refresh_s: 5", "refresh_s: 11").replace("name: Trial", "nam: Trial")
    assert [problem.key for problem in problems(tmp_path, content)] == ["gateway.nam", "timing.refresh_s"]


SYNTAX: dict[str, tuple[str, int, str]] = {
    "tab": ("gateway:\n\tname: x\n", 2, "is not valid YAML"),
    "bracket": ("gateway: [a, b\nsites: []\n", 2, "is not valid YAML"),
    "quote": ('gateway:\n  name: "x\n', 3, "is not valid YAML"),
    "duplicate key": ("gateway:\n  name: x\n  name: y\n", 3, "the key stands twice"),
    "two documents": ("gateway: {}\n---\nsites: []\n", 2, "is not valid YAML"),
    "unknown alias": ("gateway: *x\n", 1, "is not valid YAML"),
    "list": ("- a\n- b\n", 1, "must hold 'key: value' lines, found a list"),
    "text": ("hello\n", 1, "must hold 'key: value' lines"),
    "tag": ("gateway: !!python/object:os.system {}\n", 1, "the tag"),
    "own tag": ("gateway:\n  name: !secret x\n", 2, "the tag !secret is not allowed"),
    "number as key": ("gateway:\n  1: x\n", 2, "the key 1 is not text"),
    "endless": ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(5)
    ), 1, "unfold to more than"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(SYNTAX))
def test_yaml_mistakes_have_the_same_form(case: str, tmp_path: Path) -> None:
    content, line, words = SYNTAX[case]
    found = problems(tmp_path, content)
    assert found[0].line == line, [problem.say() for problem in found]
    assert found[0].column >= 1
    assert words in found[0].what("en")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    cases: dict[bytes, str] = {
        b"": "the file is empty",
        b"# nothing\n": "the file is empty",
        "gateway: 東京".encode("shift_jis"): "is not UTF-8 text (byte 9)",
        b"a: " + b"x" * FILE_MAX_BYTES: "at most 1048576 are read",
        b"a: \x00": "is not valid YAML",
    }
    for raw, words in cases.items():
        file.write_bytes(raw)
        with pytest.raises(InvalidFile, match=re.escape(words)):
            load_settings(file)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="there is no such file"):
        load_settings(tmp_path / "none.yaml")
    with pytest.raises(InvalidFile, match="is a folder"):
        load_settings(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    file.chmod(0)
    with pytest.raises(InvalidFile, match="permission denied"):
        load_settings(file)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = write(tmp_path, "\ufeff" + GOOD)
    assert load_settings(file, files=False).gateway.name == "Trial"


def test_anchors_and_merge_keys_are_welcome(tmp_path: Path) -> None:
    content = GOOD.replace("      - id: b1\n", "      - &bat\n        id: b1\n").replace(
        "        profile: sunspec-700-battery\n        host: 10.0.1.2\n",
        "        <<: *bat\n        host: 10.0.1.2\n",
    )
    settings = load_settings(write(tmp_path, content), files=False)
    assert settings.sites[1].batteries[0].soc_max == 0.9
    wrong = problems(tmp_path, content.replace("unit: 1\n        discharge", "unit: 300\n        discharge"))
    assert {problem.key for problem in wrong} == {"sites[0].batteries[0].unit", "sites[1].batteries[0].unit"}


def secured(folder: Path) -> str:
    make_dev_ca(folder / "identity", now=1_790_000_000.0)
    return changed(
        "http://127.0.0.1:8081/OpenADR2/Simple/2.0b\n",
        "https://127.0.0.1:8081/OpenADR2/Simple/2.0b\n    sign: true\n"
        "    tls: {ca: identity/ca.pem, cert: identity/ven.pem, key: identity/ven.key}\n",
    ).replace("plugin: process-lever", "plugin: none-such")


def only_files(folder: Path, content: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(folder, content))
    return tuple(problem for problem in caught.value.problems if problem.code != "problem.no_plugin")


def test_keys_and_certificates_are_looked_at(tmp_path: Path) -> None:
    content = secured(tmp_path)
    assert only_files(tmp_path, content) == ()
    key = tmp_path / "identity" / "ven.key"
    for mode in (0o640, 0o604, 0o660, 0o610):
        key.chmod(mode)
        (found,) = only_files(tmp_path, content)
        assert found.key == "northbound[0].tls.key"
        assert (found.line, found.column) == place_of(content, "key: §identity/ven.key")
        assert f"has mode {mode:04o}" in found.what() and "allowed: 0600 (chmod 600" in found.what()
    key.chmod(0o600)
    (found,) = only_files(tmp_path, content.replace("identity/ven.key", "identity/vtn.key"))
    assert "is not the key of the certificate" in found.what()
    (found,) = only_files(tmp_path, content.replace("identity/ca.pem", "identity/none.pem"))
    assert "there is no file" in found.what()
    (found,) = only_files(tmp_path, content.replace("cert: identity/ven.pem", "cert: identity/ven.key"))
    assert "is not a certificate in PEM form" in found.what()
    (found,) = only_files(tmp_path, content.replace("ca: identity/ca.pem", "ca: identity"))
    assert "is not a file" in found.what()


def test_profiles_and_plugins_are_looked_at(tmp_path: Path) -> None:
    content = (
        GOOD.replace("program: generic-2.0b", "program: generic-20b")
        .replace("profile: sunspec-700-battery", "profile: sunspec-700-batery", 1)
        .replace("m1, profile: sunspec-meter", "m1, profile: sunspec-700-battery", 1)
        .replace("plugin: process-lever", "plugin: nonesuch")
    )
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(tmp_path, content))
    said = {problem.key: problem.what() for problem in caught.value.problems}
    assert "did you mean 'generic-2.0b'?" in said["northbound[0].program"]
    assert "did you mean 'sunspec-700-battery'?" in said["sites[0].batteries[0].profile"]
    assert "describes a battery; a meter is needed here" in said["sites[0].meter.profile"]
    assert "no installed package offers the plug-in 'nonesuch'" in said["plugins[0].plugin"]


def test_a_program_that_demands_signatures_needs_signing(tmp_path: Path) -> None:
    (tmp_path / "own" / "programs").mkdir(parents=True)
    shipped = shipped_profiles() / "programs" / "generic-2.0b.yaml"
    strict = shipped.read_text("utf-8").replace("  required: false", "  required: true")
    (tmp_path / "own" / "programs" / "strict.yaml").write_text(strict, "utf-8")
    content = GOOD.replace("  name: Trial\n", "  name: Trial\n  profile_dirs: [own]\n").replace(
        "program: generic-2.0b", "program: strict"
    )
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(tmp_path, content))
    said = {problem.key: problem.what() for problem in caught.value.problems}
    assert "takes signed messages only" in said["northbound[0].sign"]


def test_a_pin_needs_signatures(tmp_path: Path) -> None:
    pinned = GOOD.replace(
        "    program: generic-2.0b\n",
        "    program: generic-2.0b\n    vtn_fingerprint: '00:11:22:33:44:55:66:77:88:99'\n",
    )
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(tmp_path, pinned))
    said = {problem.key: problem.what() for problem in caught.value.problems}
    assert "needs sign: true" in said["northbound[0].vtn_fingerprint"]


def test_a_tls_pin_needs_tls_and_a_crl_must_be_there(tmp_path: Path) -> None:
    pinned = GOOD.replace(
        "    program: generic-2.0b\n",
        "    program: generic-2.0b\n    vtn_tls_fingerprint: '00:11:22:33:44:55:66:77:88:99'\n",
    )
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(tmp_path, pinned))
    said = {problem.key: problem.what() for problem in caught.value.problems}
    assert "no tls block" in said["northbound[0].vtn_tls_fingerprint"]
    ca = make_dev_ca(tmp_path / "ca", now=1_790_000_000.0)
    listed = GOOD.replace(
        "    program: generic-2.0b\n",
        "    program: generic-2.0b\n    tls:\n      ca: ca/ca.pem\n      cert: ca/ven.pem\n      key: ca/ven.key\n"
        "      crl: [ca/none.crl]\n",
    )
    assert ca.ven_cert("ven").exists()
    with pytest.raises(InvalidFile) as caught:
        load_settings(write(tmp_path, listed))
    assert "northbound[0].tls.crl[0]" in {problem.key for problem in caught.value.problems}


def test_own_profiles_are_found_first(tmp_path: Path) -> None:
    (tmp_path / "own" / "devices").mkdir(parents=True)
    (tmp_path / "own" / "devices" / "mine.yaml").write_text("kind: battery\n", "utf-8")
    content = GOOD.replace("  name: Trial\n", "  name: Trial\n  profile_dirs: [own]\n").replace(
        "profile: sunspec-700-battery", "profile: mine", 1
    )
    content = content[: content.index("plugins:")] + content[content.index("console:") :]
    assert load_settings(write(tmp_path, content)).sites[0].batteries[0].profile == "mine"


def test_settings_built_in_code_keep_the_same_rules(tmp_path: Path) -> None:
    good = load_settings(write(tmp_path, GOOD), files=False).model_dump()
    assert Settings.model_validate(good).gateway.name == "Trial"
    good["timing"]["refresh_s"] = 20.0
    with pytest.raises(ValidationError, match="larger than a third of reversion_s"):
        Settings.model_validate(good)


def test_names_that_the_utility_gave_reach_the_session(tmp_path: Path) -> None:
    names = "ven_name: ven-1\n    resource_ids: {tokyo-1: [RES-1, RES-1b]}\n    group_ids: [G]\n    party_ids: [P]"
    settings = load_settings(write(tmp_path, changed("ven_name: ven-1", names)), files=False)

    async def deliver(room: RoomName, message: object) -> None:
        raise AssertionError((room, message))

    (room,) = compose_rooms(settings, SystemClock(), SeededRng(1), deliver).values()
    assert isinstance(room.session, VenSession)
    party = room.session._desk.party
    assert party.resources == {"RES-1": "tokyo-1", "RES-1b": "tokyo-1", "kanagawa-1": "kanagawa-1"}
    assert (party.groups, party.parties) == ({"G"}, {"P"})
    assert party.capacity_w == {"tokyo-1": 20e6, "kanagawa-1": 15e6}


def test_areas_and_batteries_go_by_the_names_they_are_given(tmp_path: Path) -> None:
    first = load_settings(write(tmp_path, GOOD), files=False).sites[0]
    battery = first.batteries[0]
    given = f"ven_name: ven-1\n    resource_ids: {{{first.area}: [AREA], {battery.id}: [BAT]}}"
    settings = load_settings(write(tmp_path, changed("ven_name: ven-1", given)), files=False)

    async def deliver(room: RoomName, message: object) -> None:
        raise AssertionError((room, message))

    (room,) = compose_rooms(settings, SystemClock(), SeededRng(1), deliver).values()
    assert isinstance(room.session, VenSession)
    party = room.session._desk.party
    assert set(party.resources) == {"tokyo-1", "kanagawa-1"}
    assert first.id in party.areas["AREA"]
    (device,) = party.devices.values()
    assert (device.id, device.site) == (battery.id, first.id)
    assert device.level_base_w == 1000.0 * battery.discharge_max_kw


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), files=False)
    with pytest.raises(ValidationError, match="frozen"):
        settings.gateway.name = "other"  # type: ignore[misc]


def test_every_field_says_what_it_is() -> None:
    schema = settings_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    silent = [
        f"{name}.{field}"
        for name, model in [*definitions.items(), ("Settings", schema)]
        for field, said in model["properties"].items()
        if not said.get("description") and "$ref" not in said  # a section says it itself
    ]
    assert silent + [name for name, model in definitions.items() if not model.get("description")] == []


def test_the_committed_schema_is_current() -> None:
    committed = REPOSITORY / "docs" / "schemas" / "settings.schema.json"
    assert json.loads(committed.read_text("utf-8")) == settings_schema(), (
        "vpp-gateway config schema > " + str(committed)
    )


def test_the_schema_agrees_with_the_models() -> None:
    jsonschema.Draft202012Validator.check_schema(settings_schema())
    validator = jsonschema.Draft202012Validator(settings_schema())
    assert list(validator.iter_errors(YAML(typ="safe").load(GOOD))) == []
    for case in ("flipped sign import", "mistyped key", "choice", "port", "id with blank", "missing key"):
        old, new, *_ = WRONG[case]
        assert list(validator.iter_errors(YAML(typ="safe").load(changed(old, new)))), case


def test_the_example_site_is_valid_and_documents_every_key() -> None:
    file = shipped_profiles() / "sites" / "trial-three-areas.yaml"
    settings = load_settings(file)
    assert [site.id for site in settings.sites] == ["tokyo-1", "tokyo-2", "kanagawa-1"]
    assert all(len(site.batteries) == 2 for site in settings.sites)
    assert sum(battery.discharge_max_w for battery in fleet(settings).batteries) == 10e6
    assert file.read_text("utf-8").startswith("# yaml-language-server: $schema=")


def test_a_pv_meter_is_a_device_of_its_own(tmp_path: Path) -> None:
    meter = "    meter: {id: m1, profile: sunspec-meter, host: 10.0.0.1, port: 502, unit: 1}\n"
    pv = "    pv_meter: {id: pv1, profile: sunspec-meter, host: 10.0.0.1, port: 502, unit: %d}\n"
    known = fleet(load_settings(write(tmp_path, changed(meter, meter + pv % 2)), files=False))
    assert [site.pv_meter for site in known.sites] == ["pv1", None]
    (twice,) = problems(tmp_path, changed(meter, meter + pv % 1))
    assert twice.key == "sites[0].pv_meter.host" and "is already the device at line" in twice.say()
    (same,) = problems(tmp_path, changed(meter, meter + (pv % 2).replace("pv1", "m1")))
    assert same.key == "sites[0].pv_meter.id"
