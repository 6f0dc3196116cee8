"""`sv2rig selftest`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text

if TYPE_CHECKING:
    from sv2rig.rig.check import Outcome
    from sv2rig.rig.device_choice import Choice
    from sv2rig.rig.find_boards import FoundBoard
    from sv2rig.rig.selftest import Tally

_WORDS = {True: "ok", False: "FAILED", None: "skipped"}


def selftest(
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            "-d",
            help="Test only this device; give it again for more: opencl, opencl:0, cpu, simulated "
            "or a board as for `mine` (serial:PATH?driver=NAME). Bitcoin and protocol checks are "
            "made in any case.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of the fresh random headers, to repeat a run. Default: a new one."
        ),
    ] = None,
    break_kernel: Annotated[
        bool,
        typer.Option(
            "--break-kernel",
            help="Give every kernel one wrong constant. It is there to show that the self-test "
            "can fail: this must end with status 1.",
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="A JSON object a line: check, subject, ok (null: skipped), detail, seconds; the "
            "last one counts passed, failed and skipped.",
        ),
    ] = False,
) -> None:
    """Check back ends, kernels and boards against known answers.

    Status 1 if any is wrong. Each engine must find the nonces of real mainnet blocks from the
    genesis block on, and in random headers exactly the nonces that hashlib finds. A board named
    must start up and find nonces that hashlib confirms. Bitcoin's formats and the encrypted
    protocol are checked too. What cannot run on this machine is skipped, with the reason.
    """
    from sv2rig.rig.board_choice import is_board
    from sv2rig.rig.device_choice import DeviceChoiceError
    from sv2rig.rig.selftest import SelfTest, Tally, fresh_seed

    chosen = fresh_seed() if seed is None else seed
    boards = [name for name in device or [] if is_board(name)]
    choices = _choices([name for name in device or [] if not is_board(name)])
    test = SelfTest(choices, chosen, break_kernel, only_chosen=bool(device))
    tally = Tally()
    began = time.perf_counter()
    try:
        for outcome in chain(test.run(), _boards(boards)):
            tally.count(outcome)
            _print_outcome(outcome, json)
    except DeviceChoiceError as error:
        raise UserError(str(error)) from error
    _print_summary(tally, time.perf_counter() - began, chosen, json)
    if tally.failed:
        raise typer.Exit(EXIT_FAILED)


def _choices(names: list[str]) -> list[Choice]:
    from sv2rig.rig.device_choice import DeviceChoiceError, parse_choice

    try:
        return [parse_choice(name) for name in names]
    except DeviceChoiceError as error:
        raise UserError(str(error)) from error


def _boards(names: list[str]) -> Iterator[Outcome]:
    """Each board named: it starts up, and finds nonces in random headers that hashlib confirms."""
    if not names:
        return
    from sv2rig.boards.driver import all_drivers
    from sv2rig.rig.board_choice import parse_boards
    from sv2rig.rig.check import Check, carry_out
    from sv2rig.rig.find_boards import find_boards

    drivers = all_drivers()
    for found in find_boards(parse_boards(names, drivers), drivers):
        check = Check(
            "starts up and finds nonces",
            found.plug.device_id,
            partial(_run_board, found),
        )
        yield carry_out(check)


def _run_board(found: FoundBoard) -> str:
    from sv2rig.rig.board_run import run_board

    return asyncio.run(run_board(found.driver, found.plug))


def _print_outcome(outcome: Outcome, json: bool) -> None:
    if json:
        print_json(asdict(outcome))
        return
    word = _WORDS[outcome.ok]
    print_text(f"{word:8} {outcome.subject:28} {outcome.check}: {outcome.detail}")


def _print_summary(tally: Tally, seconds: float, seed: int, json: bool) -> None:
    if json:
        print_json({**asdict(tally), "seconds": round(seconds, 3), "seed": seed})
        return
    print_text(
        f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped in {seconds:.1f} s"
    )
