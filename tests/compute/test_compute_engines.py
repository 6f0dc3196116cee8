"""Every engine of this machine, against hashlib and against mined headers."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sv2rig.compute.cpu import CpuEngine
from sv2rig.compute.engine import Engine, EngineError, Loaded, hits, in_halves, search
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.known_answers import block_question, questions, wrong_answers
from sv2rig.compute.opencl_probe import OpenClDevice
from sv2rig.compute.variants import variants, wrong_program
from sv2rig.devices.work import NONCES, Solution, Work

HEADERS = json.loads((files("sv2rig.rig") / "vectors/headers.json").read_text())["headers"]

WORK = Work(
    work_id=7,
    channel_id=0,
    job_id=0,
    version=0x20000000,
    prev_hash=bytes(range(32)),
    merkle_root=bytes(range(100, 132)),
    ntime=1_600_000_000,
    nbits=0x207FFFFF,
    target=1 << 248,
    ticket=1 << 248,
)

works = st.builds(
    replace,
    st.just(WORK),
    work_id=st.integers(0, 2**32 - 1),
    version=st.just(0x20000000),
    version_bits=st.sampled_from([0, 0x2000, 0x8002000, 0x1C000000]),
    prev_hash=st.binary(min_size=32, max_size=32),
    merkle_root=st.binary(min_size=32, max_size=32),
    ntime=st.integers(0, 2**32 - 2),
    ntime_count=st.integers(1, 2),
    nbits=st.integers(0, 2**32 - 1),
    ticket=st.sampled_from([(1 << 248) - 1, 1 << 250, (1 << 252) + 12345, 1 << 255]),
    nonce_start=st.integers(0, NONCES - 300),
    nonce_count=st.integers(1, 300),
)


def assert_exact(engine: Engine, judge: HashlibEngine, work: Work) -> None:
    found = search(engine, work)
    assert set(found) == set(search(judge, work))
    assert len(found) == len(set(found))


@given(work=works)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_each_engine_finds_exactly_what_hashlib_finds(
    engines: dict[str, Engine], judge: HashlibEngine, work: Work
) -> None:
    for engine in engines.values():
        assert_exact(engine, judge, work)


def test_each_engine_finds_mined_nonces(engines: dict[str, Engine]) -> None:
    assert len(HEADERS) >= 6
    for entry in HEADERS:
        question = block_question(f"block {entry['height']}", bytes.fromhex(entry["header"]))
        for name, engine in engines.items():
            found = search(engine, replace(question.work, nonce_count=12_000))
            assert set(found) == question.answer, (name, entry["height"])


def test_each_engine_answers_the_known_questions(engines: dict[str, Engine]) -> None:
    assert {name: list(wrong_answers(engine)) for name, engine in engines.items()} == {
        name: [] for name in engines
    }


def test_an_overfull_buffer_loses_nothing(engines: dict[str, Engine], judge: HashlibEngine) -> None:
    """At 2**255 half of all hashes are hits: many times what a result buffer holds."""
    for bits, count in ((0, 20_000), (0xE000, 3_000)):
        work = replace(WORK, ticket=1 << 255, version_bits=bits, nonce_count=count)
        expected = set(search(judge, work))
        assert len(expected) > 9_000
        for engine in engines.values():
            found = search(engine, work)
            assert len(found) == len(expected)
            assert set(found) == expected


def test_the_last_nonces_do_not_wrap(engines: dict[str, Engine], judge: HashlibEngine) -> None:
    work = replace(WORK, ticket=1 << 254, nonce_start=NONCES - 37, nonce_count=37)
    for engine in engines.values():
        assert_exact(engine, judge, work)


def test_two_launches_of_different_works_under_way(
    engines: dict[str, Engine], judge: HashlibEngine
) -> None:
    first = replace(WORK, work_id=1, nonce_count=5_000)
    second = replace(WORK, work_id=2, version_bits=0x6000, merkle_root=bytes(32), nonce_count=2_000)
    for engine in engines.values():
        launches = [
            engine.launch(engine.load(work), work.ntime, 0, work.nonce_count)
            for work in (first, second)
        ]
        for work, launch in zip((first, second), launches, strict=True):
            assert set(launch.collect()) == set(search(judge, work))


def test_too_many_versions_are_refused(engines: dict[str, Engine]) -> None:
    for engine in engines.values():
        engine.load(replace(WORK, version_bits=0xE000))
        with pytest.raises(EngineError, match="rolls 4 version bits; an engine tries at most 3"):
            engine.load(replace(WORK, version_bits=0x1E000))


def test_a_wrong_kernel_is_noticed(opencl_devices: tuple[OpenClDevice, ...]) -> None:
    engine = CpuEngine(threads=1, program=wrong_program())
    told = list(wrong_answers(engine))
    engine.close()
    assert len(told) == len(questions())
    assert "genesis block: 1 of 1 missed" in told[0]
    assert any(" 0 wrong" not in line for line in told)  # its false hits are not filtered away
    corrupted = [variant.name for variant in variants(opencl_devices, corrupt=True)]
    assert corrupted
    assert "hashlib" not in corrupted


def test_hits_drops_near_misses_and_keeps_what_no_right_kernel_reports() -> None:
    """Kernels compare the top word only: a hash with the ticket's may be above it by a hair."""
    candidates = [Solution(WORK.work_id, nonce, WORK.version, WORK.ntime) for nonce in range(8)]
    ordered = sorted(candidates, key=lambda solution: solution.hash_value(WORK))
    ticket = ordered[3].hash_value(WORK) - 1
    loaded = Loaded.of(replace(WORK, ticket=ticket))
    assert ordered[3].hash_value(WORK) >> 224 == loaded.top_word
    assert set(hits(loaded, candidates)) == set(ordered) - {ordered[3]}


@pytest.mark.parametrize("count", [1, 2, 3, 100, 1023])
def test_halving_covers_a_range_once(count: int) -> None:
    def attempt(start: int, length: int) -> list[int] | None:
        return list(range(start, start + length)) if length <= 3 else None

    assert in_halves(attempt, 10, count) == list(range(10, 10 + count))


def test_halving_one_step_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(EngineError, match="cannot hold one step's hits"):
        in_halves(lambda start, count: None, 0, 8)
