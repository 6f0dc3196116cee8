"""What the doctor says of boards that somebody has open."""

from __future__ import annotations

from sv2rig.boards.port_state import Obstacle, Problem
from sv2rig.boards.surroundings import Process
from sv2rig.devices.detection import Choice, Verdict
from sv2rig.devices.sighting import Sighting
from sv2rig.rig import board_findings
from sv2rig.rig.finding import Level
from sv2rig.rig.port_listing import ListedPort


def busy(*pids: int) -> Problem:
    holders = tuple(Process(pid, "sv2rig") for pid in pids)
    return Problem(Obstacle.BUSY, "somebody has it open: end that first", holders=holders)


def board(*problems: Problem) -> ListedPort:
    choice = Choice(Verdict.USED, "an Icarus")
    return ListedPort("serial:/dev/ttyUSB0", Sighting("1-1"), choice, problems, "icarus:1-1")


def test_a_board_of_a_running_rig_is_told_of_once_and_is_no_trouble() -> None:
    [finding] = board_findings.boards([board(busy(7), busy(7))], rigs={7})
    assert finding.level is Level.OK
    assert finding.text == "serial:/dev/ttyUSB0 (serial port): in use by a rig (pid 7)"


def test_a_board_that_another_program_has_is_an_error() -> None:
    for port in (board(busy(8)), board(busy(7, 8)), board(busy())):
        [finding] = board_findings.boards([port], rigs={7})
        assert (finding.level, finding.mend) == (Level.ERROR, "end that first")


def test_a_rig_that_has_a_board_hides_no_other_trouble() -> None:
    forbidden = Problem(Obstacle.PERMISSION, "root's alone: join the group")
    levels = [f.level for f in board_findings.boards([board(busy(7), forbidden)], rigs={7})]
    assert levels == [Level.ERROR, Level.ERROR]
