"""The self-test passes right engines and fails each kind of wrong one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from sv2rig.compute.cpu import CpuEngine
from sv2rig.compute.engine import Engine, EngineError, EngineInfo, Launch, Loaded
from sv2rig.compute.hashlib_engine import HashlibEngine
from sv2rig.compute.known_answers import Question
from sv2rig.compute.native import VARIANTS, usable_variants
from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice, Probe
from sv2rig.compute.variants import variants, wrong_program
from sv2rig.devices.work import NONCES, Solution, Work
from sv2rig.rig import selftest
from sv2rig.rig.check import Outcome
from sv2rig.rig.device_choice import Choice, DeviceChoiceError
from sv2rig.rig.kernel_checks import (
    FAST,
    SLOW,
    VERSION_BITS,
    Reach,
    mined,
    random_headers,
    rolled,
)
from sv2rig.rig.known_blocks import known_blocks
from sv2rig.rig.selftest import SelfTest, Subject, Tally, engine_outcomes

SEED = 77
CHECKS = [
    "build",
    "genesis block",
    "real blocks",
    "real blocks among 2 versions",
    "real blocks among 4 versions",
    "real blocks among 8 versions",
    "random headers",
    "random headers, new seed",
    "overfull result buffer",
]

Tamper = Callable[[Work, list[Solution]], list[Solution]]


@dataclass
class TamperedLaunch:
    launch: Launch
    work: Work
    tamper: Tamper

    def collect(self) -> list[Solution]:
        return self.tamper(self.work, self.launch.collect())


class TamperedEngine:
    """A right engine whose results go through a fault."""

    def __init__(self, tamper: Tamper) -> None:
        self._inner = HashlibEngine()
        self._tamper = tamper
        self.info = EngineInfo("tampered", "hashlib")

    def load(self, work: Work) -> Loaded:
        return self._inner.load(work)

    def launch(self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int) -> Launch:
        launch = self._inner.launch(loaded, ntime, nonce_start, nonce_count)
        return TamperedLaunch(launch, loaded.work, self._tamper)

    def close(self) -> None:
        self._inner.close()


def outcomes(factory: Callable[[], Engine], reach: Reach = SLOW) -> dict[str, Outcome]:
    return {
        outcome.check: outcome
        for outcome in engine_outcomes([Subject("device variant", factory, reach)], SEED)
    }


def failed(found: dict[str, Outcome]) -> list[str]:
    return [name for name, outcome in found.items() if outcome.ok is False]


def test_a_right_engine_passes_every_check() -> None:
    variant = usable_variants()[0]
    found = outcomes(lambda: CpuEngine(threads=1, variant=variant), FAST)
    assert list(found) == CHECKS
    assert all(outcome.ok for outcome in found.values()), found
    assert all(outcome.subject == "device variant" for outcome in found.values())
    assert "413567 (2016)" in found["real blocks"].detail
    assert "exactly the 12 known nonces" in found["real blocks"].detail
    assert f"seed {SEED}" in found["random headers, new seed"].detail


def test_a_kernel_with_one_wrong_bit_fails_every_check() -> None:
    found = outcomes(lambda: CpuEngine(threads=1, program=wrong_program()), FAST)
    assert failed(found) == CHECKS[1:]
    assert "block 0 (2009): 1 of 1 missed" in found["genesis block"].detail
    assert "12 of 12 wrong" in found["real blocks"].detail


def test_every_kernel_of_this_machine_comes_with_a_wrong_twin() -> None:
    """Native ones by their names here; OpenCL's by the same list that the self-test walks."""
    right, wrong = (
        [variant.name for variant in variants(MADE_UP, corrupt)] for corrupt in (False, True)
    )
    assert wrong == [name for name in right if name != "hashlib"]


def no_change(work: Work, found: list[Solution]) -> list[Solution]:
    return found


def without_last(work: Work, found: list[Solution]) -> list[Solution]:
    return found[:-1] if len(found) > 1 else found


def one_version_only(work: Work, found: list[Solution]) -> list[Solution]:
    return [solution for solution in found if solution.version == work.version]


def without_sixth_version(work: Work, found: list[Solution]) -> list[Solution]:
    sixth = list(work.versions())[5:6]
    return [solution for solution in found if solution.version not in sixth]


def buffer_of_255(work: Work, found: list[Solution]) -> list[Solution]:
    return found[:255]


def told_twice(work: Work, found: list[Solution]) -> list[Solution]:
    return [*found, *found[:1]]


def one_invented(work: Work, found: list[Solution]) -> list[Solution]:
    return [*found, Solution(work.work_id, work.nonce_start, work.version, work.ntime + 1)]


def other_work(work: Work, found: list[Solution]) -> list[Solution]:
    return [Solution(work.work_id ^ 1, s.nonce, s.version, s.ntime) for s in found]


RANDOM = CHECKS[6:8]
SEVERAL = CHECKS[3:6]


@pytest.mark.parametrize(
    ("tamper", "caught_by"),
    [
        (no_change, []),
        (without_last, [*RANDOM, CHECKS[8]]),
        (one_version_only, [*SEVERAL, *RANDOM, CHECKS[8]]),
        (without_sixth_version, [CHECKS[5], *RANDOM, CHECKS[8]]),
        (buffer_of_255, [CHECKS[8]]),
        (told_twice, CHECKS[1:]),
        (one_invented, CHECKS[1:]),
        (other_work, CHECKS[1:]),
    ],
)
def test_each_fault_is_caught(tamper: Tamper, caught_by: list[str]) -> None:
    assert failed(outcomes(lambda: TamperedEngine(tamper))) == caught_by


def test_an_engine_that_breaks_while_searching_fails_and_the_rest_goes_on() -> None:
    def broken(work: Work, found: list[Solution]) -> list[Solution]:
        if work.version_bits.bit_count() == 3:
            raise EngineError("the board is gone")
        return found

    found = outcomes(lambda: TamperedEngine(broken))
    assert failed(found) == [CHECKS[5], *RANDOM, CHECKS[8]]
    assert found[CHECKS[5]].detail == "EngineError: the board is gone"


def cannot_build() -> Engine:
    raise EngineError("no such instruction")


def breaks() -> Engine:
    raise RuntimeError("out of luck")


def test_one_variant_that_cannot_be_built_is_skipped() -> None:
    subjects = [Subject("cpu odd", cannot_build), Subject("cpu plain", HashlibEngine, SLOW)]
    found = list(engine_outcomes(subjects, SEED))
    assert found[0].ok is None
    assert found[0].detail == "no such instruction"
    assert all(outcome.ok for outcome in found[1:])


def test_a_device_of_which_no_variant_can_be_built_fails() -> None:
    subjects = [
        Subject("cpu odd", cannot_build),
        Subject("cpu plain", cannot_build),
        Subject("hashlib", HashlibEngine, SLOW),
    ]
    found = [(o.subject, o.check, o.ok) for o in engine_outcomes(subjects, SEED)]
    assert found[:4] == [
        ("cpu odd", "build", None),
        ("cpu plain", "build", None),
        ("cpu", "build", False),
        ("hashlib", "build", True),
    ]


def test_an_unforeseen_error_while_building_is_a_failure_of_that_variant() -> None:
    subjects = [Subject("cpu odd", breaks), Subject("cpu plain", HashlibEngine, SLOW)]
    found = list(engine_outcomes(subjects, SEED))
    assert (found[0].ok, found[0].detail) == (False, "RuntimeError: out of luck")
    assert all(outcome.ok for outcome in found[1:])


MADE_UP = tuple(
    OpenClDevice(f"opencl:{i}", "none", 90 + i, 0, "made up", "0", DeviceKind.GPU, 1)
    for i in range(2)
)


def opencl_test(choices: list[Choice], probe: Probe) -> Iterator[Outcome]:
    return SelfTest(choices, SEED, find_opencl=lambda: probe).run()


def test_a_chosen_device_alone_is_tested_and_its_absence_fails() -> None:
    """These devices cannot be opened any more when their turn comes, as after an unplugging."""
    found = list(opencl_test([Choice("opencl", 1)], Probe(MADE_UP, ())))
    engines = [o for o in found if o.subject not in ("bitcoin", "protocol")]
    assert {o.subject.partition(" ")[0] for o in engines} == {"opencl:1"}
    assert [o.ok for o in engines][-1] is False
    assert all(o.ok is None for o in engines[:-1])
    assert "opencl:1 cannot be opened" in engines[0].detail


@pytest.mark.parametrize(
    ("choices", "probe", "words"),
    [
        ([Choice("opencl", 2)], Probe(MADE_UP, ()), "that work: opencl:0, opencl:1"),
        ([Choice("opencl")], Probe((), ("PoCL cannot link",)), "that work: none; PoCL cannot link"),
        ([Choice("simulated", options={"fault": "wrong"})], Probe((), ()), "leave out what is"),
    ],
)
def test_choices_that_cannot_be_tested_are_refused_at_once(
    choices: list[Choice], probe: Probe, words: str
) -> None:
    with pytest.raises(DeviceChoiceError, match=words):
        next(opencl_test(choices, probe))


def test_breaking_kernels_where_there_are_none_is_refused() -> None:
    with pytest.raises(DeviceChoiceError, match="no kernel to break"):
        next(SelfTest([Choice("simulated")], SEED, break_kernel=True).run())


def test_what_this_machine_lacks_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selftest, "host_features", lambda: frozenset({"sse2"}))
    lacking = list(selftest.missing_instruction_sets())
    assert all(outcome.ok is None for outcome in lacking)
    reasons = {outcome.subject: outcome.detail for outcome in lacking}
    assert reasons["cpu avx512"] == "this CPU has no avx512f"
    assert reasons.keys() == {f"cpu {variant.name}" for variant in VARIANTS if variant.needs}
    problem = "PoCL cannot link kernels: `ld` is missing; install binutils"
    [skipped] = selftest.missing_runtimes(Probe((), (problem,)))
    assert (skipped.ok, skipped.detail) == (None, problem)
    [skipped] = selftest.missing_runtimes(Probe((), ()))
    assert skipped.ok is None
    assert "no OpenCL device found" in skipped.detail
    assert list(selftest.missing_runtimes(Probe(MADE_UP, ()))) == []


def test_the_tally_counts_each_end_once() -> None:
    tally = Tally()
    for ok in (True, True, False, None):
        tally.count(Outcome("check", "subject", ok, ""))
    assert (tally.passed, tally.failed, tally.skipped) == (2, 1, 1)


@pytest.mark.parametrize("reach", [FAST, SLOW], ids=["fast", "slow"])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_real_blocks_lie_where_they_are_searched_at_every_midstate(
    reach: Reach, count: int
) -> None:
    blocks = known_blocks()
    places = set()
    for block, bits in rolled(blocks, count) if count else [(block, 0) for block in blocks]:
        question = mined(block, reach, bits)
        [answer] = question.answer
        work = question.work
        assert work.version_bits.bit_count() == count
        assert work.holds(answer)
        assert work.header(answer.nonce, answer.version, answer.ntime) == block.header.pack()
        assert answer.hash_value(work) <= work.ticket
        assert work.nonce_start + work.nonce_count <= NONCES
        places.add(list(work.versions()).index(answer.version))
    assert places == set(range(1 << count))


def recount(question: Question) -> set[tuple[int, int]]:
    """(version, nonce) of the hits, by nothing but hashlib."""
    work = question.work
    found = set()
    for version in work.versions():
        for nonce in range(work.nonce_start, work.nonce_start + work.nonce_count):
            fields = (version, 4), (work.prev_hash, 32), (work.merkle_root, 32)
            tail = (work.ntime, 4), (work.nbits, 4), (nonce, 4)
            header = b"".join(
                field if isinstance(field, bytes) else field.to_bytes(size, "little")
                for field, size in (*fields, *tail)
            )
            digest = hashlib.sha256(hashlib.sha256(header).digest()).digest()
            if int.from_bytes(digest, "little") <= work.ticket:
                found.add((version, nonce))
    return found


def test_random_headers_have_answers_for_every_number_of_versions() -> None:
    questions = random_headers(SEED, SLOW)
    assert [question.work.version_bits for question in questions] == list(VERSION_BITS)
    for question in questions:
        known = {(solution.version, solution.nonce) for solution in question.answer}
        assert known == recount(question)
        assert question.work.hashes == SLOW.of_random
        assert {version for version, _ in known} == set(question.work.versions())
        assert len(known) < 255  # a buffer that is too small is another check's matter
    assert random_headers(SEED, SLOW) == questions
    assert all(
        one.work.merkle_root != other.work.merkle_root
        for one, other in zip(questions, random_headers(SEED + 9, SLOW), strict=True)
    )
