"""The protocol core on one core: frames sealed and opened, and handshakes, a second.

Rates are per second of this thread's CPU time, so that other programs on the machine do not count;
`core_share` says how much of the wall-clock time that was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import machine
from figures import Spread, table

from sv2rig.sv2.certificate import Certificate, CertificateIssuer
from sv2rig.sv2.client_connection import ClientConnection
from sv2rig.sv2.connection import Connection, State
from sv2rig.sv2.events import MessageReceived
from sv2rig.sv2.frame import decode_frame, encode_frame
from sv2rig.sv2.messages.common import Protocol, SetupConnection
from sv2rig.sv2.messages.mining import SubmitSharesStandard
from sv2rig.sv2.noise import CipherState, FrameDecryptor, Initiator, KeyPair, Responder
from sv2rig.sv2.secp256k1 import generate_secret, xonly_public_key
from sv2rig.sv2.server_connection import ServerConnection, SetupPolicy

DESCRIPTION = "frames encrypted and decrypted, and handshakes, a second on one core"

FRAMES_GOAL: Final = 100_000
HANDSHAKES_GOAL: Final = 1_000
READ_SIZE: Final = 65536  # what one read of a busy socket gives

NOW: Final = 0.0
UTC: Final = 1_790_000_000.0
SETUP: Final = SetupConnection(
    Protocol.MINING, 2, 2, 1, "127.0.0.1", 34254, "sv2rig", "1", "0.1.0", "bench"
)

AUTHORITY_SECRET: Final = generate_secret()
AUTHORITY_KEY: Final = xonly_public_key(AUTHORITY_SECRET)
STATIC: Final = KeyPair.generate()
ISSUER: Final = CertificateIssuer(AUTHORITY_SECRET, STATIC.xonly)

Timed = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Case:
    """`prepare(count)` makes, outside the measured time, what then does `count` of the thing."""

    name: str
    prepare: Callable[[int], Timed]
    goal: int
    per_round: int


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    goal: int
    per_second: Spread

    @property
    def met(self) -> bool:
        return self.per_second.median >= self.goal


def shares(count: int) -> list[SubmitSharesStandard]:
    nonces = [(i * 2654435761) & 0xFFFFFFFF for i in range(count)]
    return [
        SubmitSharesStandard(2, i, 7 + i // 100, nonce, 1_790_000_000 + i // 9, 0x20000000)
        for i, nonce in enumerate(nonces)
    ]


def connect() -> tuple[ClientConnection, ServerConnection]:
    """Both ends, handshake and set-up behind them."""
    client = ClientConnection(AUTHORITY_KEY, SETUP, now=NOW)
    server = ServerConnection(STATIC, ISSUER.at, SetupPolicy(), now=NOW)
    sender: Connection = client
    receiver: Connection = server
    while data := sender.data_to_send():
        receiver.receive(data, NOW, UTC)
        sender, receiver = receiver, sender
    if client.state is not State.OPEN or server.state is not State.OPEN:
        raise RuntimeError("the two ends did not reach an open connection")
    return client, server


def encode_bare(count: int) -> Timed:
    messages = shares(count)
    cipher = CipherState(bytes(32))

    def run() -> None:
        for message in messages:
            cipher.encrypt_frame(encode_frame(message))

    return run


def encode_connection(count: int) -> Timed:
    messages = shares(count)
    client, _ = connect()

    def run() -> None:
        for message in messages:
            client.send(message)
            client.data_to_send()

    return run


def decode_bare(count: int) -> Timed:
    messages = shares(count)
    cipher = CipherState(bytes(32))
    pieces = [cipher.encrypt_frame(encode_frame(message)) for message in messages]
    decryptor = FrameDecryptor(CipherState(bytes(32)))

    def run() -> None:
        for piece in pieces:
            decryptor.feed(piece)
            frame = decryptor.next_frame()
            if frame is None:
                raise RuntimeError("a whole frame gave none")
            message, _ = decode_frame(frame)
        if message != messages[-1]:
            raise RuntimeError(f"{messages[-1]} came out as {message}")

    return run


def decode_connection(read_size: int) -> Callable[[int], Timed]:
    """Through Connection.receive, in reads of `read_size` bytes; 0: one frame a read."""

    def prepare(count: int) -> Timed:
        messages = shares(count)
        client, server = connect()
        reads = []
        for message in messages:
            client.send(message)
            reads.append(client.data_to_send())
        if read_size:
            stream = b"".join(reads)
            reads = [stream[at : at + read_size] for at in range(0, len(stream), read_size)]

        def run() -> None:
            received = 0
            for data in reads:
                events = server.receive(data, NOW, UTC)
                received += len(events)
            last = MessageReceived(messages[-1], ())
            if received != count or events[-1] != last:
                raise RuntimeError(f"{received} of {count} shares came out; the end: {events[-1:]}")

        return run

    return prepare


def handshakes_bare(count: int) -> Timed:
    certificate: Certificate = ISSUER.at(UTC)

    def run() -> None:
        for _ in range(count):
            initiator = Initiator()
            answer, _ = Responder(STATIC, certificate).answer(initiator.act_one())
            initiator.read_act_two(answer, AUTHORITY_KEY, UTC)

    return run


def handshakes_connection(count: int) -> Timed:
    def run() -> None:
        for _ in range(count):
            connect()

    return run


FRAMES: Final = 20_000
HANDSHAKES: Final = 500
CASES: Final = (
    Case("frames out: encode_frame, encrypt_frame", encode_bare, FRAMES_GOAL, FRAMES),
    Case("frames out: Connection.send, data_to_send", encode_connection, FRAMES_GOAL, FRAMES),
    Case("frames in: FrameDecryptor, decode_frame", decode_bare, FRAMES_GOAL, FRAMES),
    Case(
        "frames in: Connection.receive, a frame a read", decode_connection(0), FRAMES_GOAL, FRAMES
    ),
    Case(
        "frames in: Connection.receive, 64 KiB a read",
        decode_connection(READ_SIZE),
        FRAMES_GOAL,
        FRAMES,
    ),
    Case("handshakes: Initiator and Responder", handshakes_bare, HANDSHAKES_GOAL, HANDSHAKES),
    Case(
        "handshakes and set-ups: two Connections",
        handshakes_connection,
        HANDSHAKES_GOAL,
        HANDSHAKES,
    ),
)


def measure(rounds: int) -> tuple[list[Result], float]:
    """Every case once a round, and the share of the wall-clock time that was ours."""
    rates: dict[str, list[float]] = {case.name: [] for case in CASES}
    cpu_s = wall_s = 0.0
    for _ in range(rounds):
        for case in CASES:
            run = case.prepare(case.per_round)
            wall, cpu = time.perf_counter(), time.thread_time()
            run()
            spent = time.thread_time() - cpu
            wall_s += time.perf_counter() - wall
            cpu_s += spent
            rates[case.name].append(round(case.per_round / spent))
    results = [Result(case.name, case.goal, Spread.of(rates[case.name])) for case in CASES]
    return results, cpu_s / wall_s


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench protocol", description=DESCRIPTION)
    parser.add_argument("--rounds", type=int, default=7, help="rounds, each of every case")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    options = parser.parse_args(argv)
    with machine.pinned_to_one_core() as pinned:
        results, core_share = measure(options.rounds)
    if options.json:
        report = {
            "bench": "protocol",
            "machine": machine.describe(),
            "pinned": pinned,
            "rounds": options.rounds,
            "core_share": round(core_share, 3),
            "results": [asdict(result) | {"met": result.met} for result in results],
        }
        print(json.dumps(report))
    else:
        print_report(results, options.rounds, pinned, core_share)
    return 0


def print_report(results: list[Result], rounds: int, pinned: bool, core_share: float) -> None:
    print(machine.headline())
    where = "pinned to one core" if pinned else "one thread"
    print(
        f"per second of CPU time, {rounds} rounds, {where} "
        f"({core_share:.0%} of the wall-clock time was ours)\n"
    )
    rows = [("SubmitSharesStandard; full handshakes", "min", "median", "max", "goal", "")]
    for result in results:
        figures = [result.per_second.min, result.per_second.median, result.per_second.max]
        minimum, median, maximum = [f"{figure:,.0f}" for figure in figures]
        goal = f"{result.goal:,}"
        rows.append(
            (result.name, minimum, median, maximum, goal, "met" if result.met else "MISSED")
        )
    print(table(rows) + "\n")
