"""Rate meters and the rule for UpdateChannel, on an injected clock."""

import pytest

from sv2rig.bitcoin.target import MAX_TARGET, target_for_difficulty, target_for_rate
from sv2rig.mining.hashrate import HashMeter, NominalRate, SolutionMeter


def test_rate_is_unknown_until_readings_span_the_window() -> None:
    meter = HashMeter()
    assert meter.rate(5) is None
    for second in range(5):
        meter.update(100.0 + second, 1000 * second)
        assert meter.rate(5) is None
    meter.update(105.0, 5000)
    assert meter.rate(5) == pytest.approx(1000)
    assert meter.rate(60) is None
    assert meter.rate(900) is None


@pytest.mark.parametrize("rate", [1, 10**6, 10**15])
def test_steady_rates_read_the_same_in_every_window(rate: int) -> None:
    meter = HashMeter()
    for tick in range(1001):
        meter.update(float(tick), rate * tick)
    for window in (5, 60, 900):
        assert meter.rate(window) == pytest.approx(rate)


def test_each_window_forgets_at_its_own_pace() -> None:
    meter = HashMeter()
    for tick in range(121):  # 100 H/s for a minute, then 200 H/s for a minute
        meter.update(float(tick), 100 * tick + 100 * max(0, tick - 60))
    assert meter.rate(5) == pytest.approx(200)
    assert meter.rate(60) == pytest.approx(200)
    meter.update(150.0, 100 * 150 + 100 * 90)
    assert meter.rate(60) == pytest.approx(200)


def test_a_device_that_stops_reads_zero() -> None:
    meter = HashMeter()
    for tick in range(20):
        meter.update(float(tick), 100 * min(tick, 10))
    assert meter.rate(5) == 0


def test_readings_as_often_as_they_like_stay_few_and_exact() -> None:
    meter = HashMeter([5.0])
    for tick in range(100_000):
        meter.update(tick / 1000, tick)
    assert meter.rate(5) == pytest.approx(1000)
    assert len(meter._windows[5.0]._samples) <= 66


def test_counter_that_goes_back_starts_anew() -> None:
    meter = HashMeter()
    for tick in range(10):
        meter.update(float(tick), 100 * tick)
    meter.update(10.0, 0)
    assert meter.rate(5) is None
    for tick in range(1, 6):
        meter.update(10.0 + tick, 50 * tick)
    assert meter.rate(5) == pytest.approx(50)


def test_time_that_does_not_advance_is_ignored() -> None:
    meter = HashMeter()
    meter.update(0.0, 0)
    meter.update(5.0, 500)
    meter.update(5.0, 900)
    meter.update(4.0, 900)
    assert meter.rate(5) == pytest.approx(100)


def test_a_window_that_is_not_kept_is_an_error() -> None:
    with pytest.raises(KeyError):
        HashMeter().rate(7)


def test_solutions_prove_the_rate_their_tickets_stand_for() -> None:
    meter = SolutionMeter()
    meter.start(0.0)
    ticket = target_for_difficulty(1)  # 2^48 / 65535 hashes
    for second in range(1, 16):
        meter.add(float(second), ticket)
    assert meter.rate(15.0) is None
    meter.add(16.0, ticket)
    assert meter.rate(16.0) == pytest.approx((1 << 48) / 0xFFFF)


def test_solution_of_the_easiest_ticket_is_one_hash() -> None:
    meter = SolutionMeter(window_s=10)
    meter.start(0.0)
    for tick in range(1, 101):
        meter.add(tick / 10, MAX_TARGET)
    assert meter.rate(10.0) == pytest.approx(10)


def test_old_solutions_leave_the_window() -> None:
    meter = SolutionMeter(window_s=60)
    meter.start(0.0)
    ticket = target_for_rate(1e6, 60)
    for second in range(1, 101):
        meter.add(float(second), ticket)
    assert meter.rate(100.0) == pytest.approx(1e6, rel=1e-6)
    assert meter.rate(130.0) == pytest.approx(0.5e6, rel=1e-6)
    assert meter.rate(200.0) is None


def test_the_error_of_a_proved_rate_is_that_of_its_solutions_in_the_window() -> None:
    meter = SolutionMeter(window_s=60)
    meter.start(0.0)
    for second in range(1, 16):
        meter.add(float(second), MAX_TARGET)
    assert meter.error(15.0) is None
    meter.add(16.0, MAX_TARGET)
    assert meter.error(16.0) == 0.25
    for tick in range(100):
        meter.add(100 + tick / 100, MAX_TARGET)
    assert meter.error(101.0) == 0.1


def test_a_meter_of_many_solutions_stays_small_and_right() -> None:
    meter = SolutionMeter(window_s=60)
    meter.start(0.0)
    for tick in range(1, 30_001):  # 100 a second
        meter.add(tick / 100, MAX_TARGET)
    assert len(meter._steps) <= 65
    assert meter.rate(300.0) == pytest.approx(100, rel=1 / 64)


@pytest.mark.parametrize(
    ("rate", "due"), [(119.9, False), (120.0, True), (80.1, False), (80.0, True), (0.0, True)]
)
def test_pool_is_told_of_a_change_of_a_fifth(rate: float, due: bool) -> None:
    nominal = NominalRate(100.0)
    assert not nominal.is_due(rate, 0.0)
    assert not nominal.is_due(rate, 9.9)
    assert nominal.is_due(rate, 10.0) == due


def test_change_must_last() -> None:
    nominal = NominalRate(100.0)
    nominal.is_due(150.0, 0.0)
    assert not nominal.is_due(100.0, 5.0)
    assert not nominal.is_due(150.0, 10.0)
    assert nominal.is_due(150.0, 20.0)


def test_after_telling_the_new_rate_is_the_measure() -> None:
    nominal = NominalRate(100.0)
    nominal.is_due(150.0, 0.0)
    assert nominal.is_due(150.0, 10.0)
    nominal.tell(150.0)
    assert nominal.told_hs == 150.0
    assert not nominal.is_due(150.0, 30.0)
    assert not nominal.is_due(125.0, 60.0)
    nominal.is_due(120.0, 70.0)
    assert nominal.is_due(120.0, 80.0)


def test_unknown_rate_is_never_told() -> None:
    nominal = NominalRate(100.0)
    assert not nominal.is_due(None, 0.0)
    assert not nominal.is_due(None, 100.0)


def test_pool_that_was_told_zero_hears_of_any_rate() -> None:
    nominal = NominalRate(0.0)
    assert not nominal.is_due(0.0, 0.0)
    assert not nominal.is_due(0.0, 100.0)
    nominal.is_due(1.0, 101.0)
    assert nominal.is_due(1.0, 111.0)
