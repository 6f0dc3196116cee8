"""The job table: late answers are judged, and forgotten in bounded time and room."""

import pytest

from sv2rig.devices.job_table import JobTable
from sv2rig.devices.work import Solution, Work


def work(work_id: int) -> Work:
    return Work(
        work_id=work_id,
        channel_id=1,
        job_id=1,
        version=0x20000000,
        prev_hash=bytes(32),
        merkle_root=bytes(32),
        ntime=0,
        nbits=0x1D00FFFF,
        target=0,
        ticket=0,
    )


def test_work_in_hand_is_kept_however_old() -> None:
    table = JobTable(max_replaced=1, max_age_s=1)
    table.add(work(1))
    assert table.get(1, 1e9) == work(1)


def test_an_unknown_id_gives_none() -> None:
    assert JobTable().get(1, 0) is None


def test_ids_are_unique_also_among_replaced_works() -> None:
    table = JobTable()
    table.add(work(1))
    with pytest.raises(ValueError, match="work 1 is in the job table already"):
        table.add(work(1))
    table.replace(1, 0)
    with pytest.raises(ValueError, match="work 1 is in the job table already"):
        table.add(work(1))


@pytest.mark.parametrize(("age", "kept"), [(9.9, True), (10.0, True), (10.1, False)])
def test_replaced_work_is_kept_for_its_age(age: float, kept: bool) -> None:
    table = JobTable(max_age_s=10)
    table.add(work(1))
    table.replace(1, 100)
    assert (table.get(1, 100 + age) is not None) == kept
    assert len(table) == kept


def test_replacing_twice_does_not_renew_the_age() -> None:
    table = JobTable(max_age_s=10)
    table.add(work(1))
    table.replace(1, 0)
    table.replace(1, 9)
    assert table.get(1, 10.5) is None


@pytest.mark.parametrize(("count", "oldest_kept"), [(3, 1), (4, 1), (5, 2)])
def test_the_oldest_replaced_works_go_first(count: int, oldest_kept: int) -> None:
    table = JobTable(max_replaced=4)
    for work_id in range(1, count + 1):
        table.add(work(work_id))
        table.replace(work_id, 0)
    known = [i for i in range(1, count + 1) if table.get(i, 0) is not None]
    assert known == list(range(oldest_kept, count + 1))


def test_a_table_device_holds_many_works_in_hand() -> None:
    table = JobTable(max_replaced=2)
    for work_id in range(128):
        table.add(work(work_id))
    assert len(table) == 128
    table.replace(5, 0)
    assert table.get(5, 1) == work(5)


def test_a_solution_is_new_once() -> None:
    table = JobTable()
    table.add(work(1))
    found = Solution(1, nonce=7, version=0x20000000, ntime=0)
    assert table.first_report(found)
    assert not table.first_report(found)
    assert table.first_report(Solution(1, nonce=8, version=0x20000000, ntime=0))
    table.replace(1, 0)
    assert not table.first_report(found)


def test_solutions_are_forgotten_with_their_work() -> None:
    table = JobTable(max_age_s=10)
    table.add(work(1))
    found = Solution(1, nonce=7, version=0x20000000, ntime=0)
    table.first_report(found)
    table.replace(1, 0)
    table.expire(11)
    with pytest.raises(KeyError, match="work 1 is not in the job table"):
        table.first_report(found)
    table.add(work(1))
    assert table.first_report(found)
