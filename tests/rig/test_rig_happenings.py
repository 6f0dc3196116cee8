"""What is worth calling somebody for."""

from __future__ import annotations

from msgspec.structs import replace

from sv2rig.rig.happenings import Happening, Kind, Watch
from sv2rig.rig.snapshot import (
    SCHEMA,
    DeviceSnapshot,
    PoolSnapshot,
    PoolStanding,
    RigSnapshot,
    ShareCounts,
)

POOL = PoolSnapshot("url", "mining", "", "", "", None, None, None, None, None, 0, None, "home")
DEVICE = DeviceSnapshot(
    "axe0", "bm1370", "axe", None, "INIT", "starts", 0.0,
    None, None, None, None, None, ShareCounts(), 0, None,
)  # fmt: skip
RIG = RigSnapshot(
    schema=SCHEMA,
    sequence=0,
    time=1.8e9,
    name="garage",
    version="0",
    state="mining",
    uptime_s=0,
    hashrate_hs=None,
    hashrate_1m_hs=None,
    shares=ShareCounts(),
    blocks_found=3,
    hardware_errors=0,
    best_difficulty=None,
    pool=POOL,
    devices=(DEVICE,),
)


def device(state: str, reason: str) -> RigSnapshot:
    return replace(RIG, devices=(replace(DEVICE, state=state, reason=reason),))


def pools(*states: str) -> RigSnapshot:
    standings = [
        PoolStanding(f"p{at}", "url", "me", state, "it is silent" if state == "down" else "")
        for at, state in enumerate(states)
    ]
    return replace(RIG, pools=tuple(standings))


def told(*pictures: RigSnapshot) -> list[tuple[str, str]]:
    watch = Watch(RIG)
    return [(h.kind.value, h.text) for picture in pictures for h in watch.seen(picture)]


def test_each_block_is_told_once_and_old_ones_never() -> None:
    found = replace(RIG, blocks_found=5)
    assert told(RIG, found, found) == [
        ("block_found", "block found, number 4 of this rig"),
        ("block_found", "block found, number 5 of this rig"),
    ]
    assert Watch(RIG).seen(found)[0] == Happening(
        Kind.BLOCK_FOUND, 1.8e9, "block found, number 4 of this rig", None, "home"
    )


def test_a_block_names_its_device_and_the_number_of_the_rigs_life() -> None:
    found = replace(RIG, blocks_found=4, devices=(replace(DEVICE, blocks=1),))
    [told] = Watch(RIG, 7).seen(found)
    assert told.device == "axe0"
    assert told.text == "block found by axe0, number 4 of this rig since its start and 11 in all"
    assert Watch(found, 7).seen(found) == []


def test_a_device_goes_and_comes_back() -> None:
    lost = device("LOST", "unplugged")
    assert told(device("MINING", ""), lost, lost, device("INIT", "plugged in")) == [
        ("device_lost", "axe0 is LOST: unplugged"),
        ("device_back", "axe0 is INIT: plugged in"),
    ]
    # dead is gone, too, and from one to the other nothing is new
    assert [kind for kind, _ in told(device("DEAD", ""), device("LOST", ""))] == ["device_lost"]


def test_a_device_that_is_new_and_already_gone() -> None:
    new = replace(DEVICE, id="axe1", state="LOST")
    assert [kind for kind, _ in told(replace(RIG, devices=(DEVICE, new)))] == ["device_lost"]


def test_hot_is_told_when_it_begins() -> None:
    course = ["MINING", "THROTTLED", "COOLDOWN", "THROTTLED", "MINING", "COOLDOWN"]
    assert told(*(device(state, state) for state in course)) == [
        ("hot", "axe0 is THROTTLED: THROTTLED"),
        ("hot", "axe0 is COOLDOWN: COOLDOWN"),
    ]


def test_pools_go_down_and_come_back() -> None:
    course = [
        pools("connecting", "standby"),
        pools("down", "connecting"),
        pools("connecting", "mining"),  # tried again: neither down anew nor back
        pools("down", "mining"),
        pools("down", "refused"),
        pools("standby", "refused"),
    ]
    assert told(*course) == [
        ("pool_down", "pool p0 is down: it is silent; no pool is left, devices idle"),
        ("pool_down", "pool p1 is refused: no reason known; no pool is left, devices idle"),
        ("pool_back", "pool p0 is back"),
    ]
