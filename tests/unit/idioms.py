"""Four batteries that want to be told in four ways; no product, but each way is one of real products."""

from __future__ import annotations

from vpp_gateway.southbound.modbus.profile import DeviceProfile

READS = {
    "battery_power": {
        "at": 100,
        "table": "input",
        "type": "s32",
        "words": "little",
        "unit": "W",
        "unknown": [0x80000000],
    },
    "level": {"at": 110, "table": "input", "type": "u16", "scale": 0.1, "unit": "%", "unknown": [65535]},
    "state": {"at": 111, "table": "input"},
    "serial": {"at": 120, "table": "input", "type": "string", "size": 4},
}
COMMON = {
    "source": [{"document": "none: an idiom for tests"}],
    "verified": "unverified",
    "product": {"vendor": "none", "models": ["an idiom"]},
    "kind": "battery",
    "gap": 8,
    "identity": {"serial": {"matches": "^IDIOM", "example": "IDIOM1"}},
    "points": {
        "discharge_w": "battery_power",
        "soc": "level",
        "running": {"state": "state", "is_in": [1, 2]},
    },
    "fast": ["discharge_w", "running"],
    "slow": ["soc"],
}


def an_idiom(name: str, registers: dict[str, object], **fields: object) -> DeviceProfile:
    return DeviceProfile.model_validate(COMMON | {"name": name, "registers": READS | registers} | fields)


def w(at: int, type: str = "u16", **more: object) -> dict[str, object]:
    return {"at": at, "type": type, "write": True} | more


SIGNED = an_idiom(
    "signed",
    {"mode": w(10), "power": w(11, "s32", words="little"), "timer": w(13, scale=60), "left": {"at": 14}},
    command={
        "arm": [{"power": "w", "timer": "timer_s"}, {"mode": 4}],
        "setpoint": [{"power": "w"}],
        "refresh": [{"mode": 4}],
        "release": [{"mode": 0}],
        "discharge_sign": -1,
    },
    reversion={"kind": "timer", "least_s": 60, "most_s": 3600},
)
DIRECTION = an_idiom(
    "direction",
    {"mode": w(49), "towards": w(50), "size": w(51, scale=10)},
    command={
        "arm": [
            {"towards": {"discharge": 187, "charge": 170, "idle": 204}, "size": "magnitude_w"},
            {"mode": 2},
        ],
        "setpoint": [{"towards": {"discharge": 187, "charge": 170, "idle": 204}, "size": "magnitude_w"}],
        "refresh": [{"size": "magnitude_w"}],
        "release": [{"mode": 0}],
        "through_zero": True,
        "separate": True,
        "function": 6,
    },
    reversion={"kind": "watchdog", "fixed_s": 60},
)
PERCENT = an_idiom(
    "percent",
    {"mode": w(5), "out": w(10, "s16", scale=0.01), "in": w(11, "s16", scale=0.01), "timer": w(15)},
    command={
        "arm": [
            {"out": {"percent": "w", "of": "largest"}, "in": {"percent": "-w", "of": "largest"}},
            {"timer": "timer_s"},
            {"mode": 3},
        ],
        "setpoint": [{"out": {"percent": "w", "of": "largest"}, "in": {"percent": "-w", "of": "largest"}}],
        "refresh": [{"timer": "timer_s"}],
        "release": [{"mode": 0}],
    },
    reversion={"kind": "timer"},
)
WINDOW = an_idiom(
    "window",
    {
        "charge_least": w(793, "u32"),
        "charge_most": w(795, "u32"),
        "discharge_least": w(797, "u32"),
        "discharge_most": w(799, "u32"),
        "beat": w(900),
    },
    command={
        "arm": [
            {
                "charge_least": "charge_w",
                "charge_most": "charge_w",
                "discharge_least": "discharge_w",
                "discharge_most": "discharge_w",
            }
        ],
        "setpoint": [
            {
                "charge_least": "charge_w",
                "charge_most": "charge_w",
                "discharge_least": "discharge_w",
                "discharge_most": "discharge_w",
            }
        ],
        "release": [{"charge_least": 0, "charge_most": 50000, "discharge_least": 0, "discharge_most": 50000}],
    },
    heartbeat={"point": "beat", "style": "toggle", "timeout_s": 15},
    reversion={"kind": "heartbeat"},
)
IDIOMS = (SIGNED, DIRECTION, PERCENT, WINDOW)
