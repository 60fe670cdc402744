"""The stopwatch of an instruction: first and last acknowledgement, and no last one while a battery is silent."""

from __future__ import annotations

from tests.unit.fleets import SITES, instruction
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.domain.instruction import DeviceId, InstructionId
from vpp_gateway.metering.account import Account

ID = InstructionId("tso/EV-1")
B1, B2, B3 = (DeviceId(f"b{n}") for n in (1, 2, 3))


def obeyed(device: DeviceId, at: float, w: float = 1000.0) -> Obeyed:
    return Obeyed(
        at=at,
        site=SITES[0],
        device=device,
        epoch=1,
        seq=1,
        instruction=ID,
        discharge_w=w,
        acknowledged_at=at,
        confirmed_at=at,
    )


def begun() -> Account:
    account = Account()
    account.instructed(instruction(start_at=1000.0), "in", "", 900.0)
    account.begun(instruction(start_at=1000.0))
    return account


def watch(account: Account) -> tuple[float | None, float | None]:
    delivery = account.delivery(ID)
    assert delivery is not None
    return delivery.first_setpoint_at, delivery.all_setpoints_at


def test_all_means_all_that_were_ordered() -> None:
    account = begun()
    account.ordered(ID, (B1, B2))
    account.obeyed(obeyed(B1, 1000.1))
    assert watch(account) == (1000.1, None)
    account.obeyed(obeyed(B1, 1001.1))
    assert watch(account) == (1000.1, None)
    account.obeyed(obeyed(B2, 1000.4))
    assert watch(account) == (1000.1, 1000.4)
    account.obeyed(obeyed(B3, 1002.0))
    assert watch(account) == (1000.1, 1000.4)


def test_answers_may_come_before_the_allocation_is_noted() -> None:
    account = begun()
    account.obeyed(obeyed(B1, 1000.1))
    account.obeyed(obeyed(B2, 1000.2))
    account.ordered(ID, (B1, B2))
    assert watch(account) == (1000.1, 1000.2)


def test_a_zero_and_a_late_answer_do_not_count() -> None:
    account = begun()
    account.ordered(ID, (B1,))
    account.obeyed(obeyed(B1, 1000.1, w=0.0))
    account.obeyed(obeyed(B1, 1011.0))
    assert watch(account) == (None, None)
