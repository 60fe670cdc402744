"""FlexMeasures' own scheduler as a peer: horizon problems in, one JSON line each; cost and seconds out.

Runs under an interpreter of its own (`tests/bench/horizon.py` makes it), so it imports nothing of this package.
`device_scheduler` is called as a library inside a bare Flask app. It has no ramps, no dwell and no return of energy; the
problems that come here have none either, and equal steps. Prices are per kWh; the clock stands around its one call.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import pandas as pd
from flask import Flask
from flexmeasures.data.models.planning import FlowCommitment
from flexmeasures.data.models.planning.linear_optimization import device_scheduler

MEGA = 1e6


def serve(solver: str) -> None:
    """Answer until stdin ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # HiGHS greets on stdout
    app = Flask("peer")
    app.config.update(LOGGING_LEVEL="INFO", FLEXMEASURES_LP_SOLVER=solver, FLEXMEASURES_LP_SOLVER_OPTIONS={})
    print(json.dumps("ready"), file=out, flush=True)
    with app.app_context():
        for line in sys.stdin:
            arguments = translate(json.loads(line))
            began = time.perf_counter()
            _, cost, _, _ = device_scheduler(**arguments)
            took = time.perf_counter() - began
            print(json.dumps({"cost": cost, "s": took}), file=out, flush=True)


def translate(problem: dict[str, Any]) -> dict[str, Any]:
    """A horizon problem in the scheduler's words: flows are consumption in MW, stocks MW times steps."""
    step_h = problem["lengths_s"][0] / 3600.0
    index = pd.date_range(
        "2026-01-01", periods=len(problem["lengths_s"]), freq=f"{problem['lengths_s'][0]:.0f}s"
    )
    factor, tiers = problem["prices"]["tier_factor"], problem["tiers"]
    kwh = 1000.0 * step_h
    """kWh that a MW is in a step."""
    devices, sites, commitments = [], [], []

    def commit(name: str, price: float, quantity: Any = 0.0, device: int | None = None) -> None:
        commitments.append(
            FlowCommitment(
                name=name,
                index=index,
                quantity=pd.Series(quantity, index=index),
                upwards_deviation_price=price,
                downwards_deviation_price=-price,
                **({} if device is None else {"device": pd.Series(device, index=index)}),
            )
        )

    def device(site: str, price: float, **columns: float) -> None:
        whole = {"equals": float("nan"), "derivative equals": float("nan"), "efficiency": 1.0, **columns}
        commit(f"use of {len(devices)}", price, device=len(devices))
        devices.append(pd.DataFrame(whole, index=index))
        sites.append(site)

    for store in problem["stores"]:
        wh = MEGA * step_h
        device(
            store["site"],
            factor ** tiers.index(store["tier"]) * store["cost"] * kwh,
            **{
                "min": (store["stored_min_wh"] - store["stored_wh"]) / wh,
                "max": (store["stored_max_wh"] - store["stored_wh"]) / wh,
                "derivative min": -store["discharge_max_w"] / MEGA,
                "derivative max": store["charge_max_w"] / MEGA,
                "derivative down efficiency": store["discharge_efficiency"],
                "derivative up efficiency": store["charge_efficiency"],
            },
        )
    for work in problem["works"]:
        (leg,) = work["legs"]
        device(
            leg["site"],
            factor ** tiers.index(work["tier"]) * work["cost"] * kwh,
            **{
                "min": -work["energy_wh"] / (MEGA * step_h),
                "max": 0.0,
                "derivative min": -leg["regulation_w"] / MEGA,
                "derivative max": 0.0,
                "derivative down efficiency": 1.0,
                "derivative up efficiency": 1.0,
            },
        )
    (asked,) = problem["asked"]
    commit("asked", factor ** (len(tiers) + 1) * kwh, [-w / MEGA for w in asked["regulation_w"]])
    grids, groups = [], []
    for c in problem["connections"]:
        net = pd.Series(c["load_w"], index=index) - pd.Series(c["pv_w"], index=index)
        grids.append(
            pd.DataFrame(
                {
                    "derivative max": (pd.Series(c["import_max_w"], index=index) - net) / MEGA,
                    "derivative min": -(pd.Series(c["export_max_w"], index=index) + net) / MEGA,
                }
            )
        )
        groups.append([d for d, site in enumerate(sites) if site == c["site"]])
    return {
        "device_constraints": devices,
        "ems_constraints": grids,
        "ems_constraint_groups": groups,
        "commitments": commitments,
        "initial_stock": 0.0,
    }


if __name__ == "__main__":
    serve(sys.argv[1])
