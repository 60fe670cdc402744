"""The harness against a VEN that runs elsewhere: ours, in a process of its own, over HTTP, operated by its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from tests.wire.ven_bench import free_port
from vpp_gateway.cli import root

CLI = (sys.executable, "-m", "vpp_gateway.cli")
CASES = (
    "EiRegisterParty-query-create",
    "EiRegisterParty-cancel-by-ven",
    "EiRegisterParty-reset",
    "EiOpt-schedule",
    "EiOpt-cancel",
    "EiOpt-unknown-event",
    "EiOpt-V38-restart",
    "EiReport-R311-metadata",
    "Push-R12-event",
)


@contextmanager
def gateway(folder: Path, vtn_url: str) -> Iterator[None]:
    """A gateway that connects to `vtn_url`; its site is nowhere, so it opts out of everything that asks for power."""
    init = ("--yes", "--name", "Trial", "--site", "tokyo-1", "--vtn-url", vtn_url, "--ven-name", "our-ven")
    subprocess.run([*CLI, "config", "init", "gateway.yaml", *init], cwd=folder, check=True)
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [*CLI, "run", "--config", "gateway.yaml"], cwd=folder, stdout=log, stderr=log, env=os.environ
        )
    try:
        answers = [*CLI, "ven", "status", "--state-dir", "state"]
        for _ in range(60):  # each try is a process of its own, so it takes its time
            if subprocess.run(answers, cwd=folder, capture_output=True).returncode == 0:
                break
        yield
    finally:
        running.terminate()
        running.wait(20)


def test_our_gateway_as_any_other_ven(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    report = tmp_path / "r.json"
    prompt = f"{' '.join(CLI)} ven prompt {{verb}} --state-dir {tmp_path / 'state'}"
    chosen = [word for case in CASES for word in ("--case", case)]
    claims = ["--claim", "opt", "--prompt-command", prompt]
    with gateway(tmp_path, f"http://{where}/OpenADR2/Simple/2.0b"):
        done = CliRunner().invoke(
            root,
            [
                "conform",
                "openadr2",
                "--against",
                "other",
                "--listen",
                where,
                *chosen,
                *claims,
                "--json",
                str(report),
            ],
        )
    read = {one["id"]: one for one in json.loads(report.read_text())["procedures"]}
    said = {id: (read[id]["verdict"], read[id]["reason"]) for id in CASES}
    verdicts = {id: verdict for id, (verdict, _) in said.items()}
    # its site has no battery that answers, so the event of the reset is opted out of and told again all the same
    assert verdicts == {
        **dict.fromkeys(CASES, "pass"),
        "EiOpt-V38-restart": "not_applicable",
        "Push-R12-event": "not_applicable",
    }, json.dumps(said, indent=1)
    assert said["EiOpt-V38-restart"][1].endswith("restart: exit code 2"), "nobody starts it anew here"
    assert "does not claim" in said["Push-R12-event"][1]
    assert done.exit_code == 0, done.output
