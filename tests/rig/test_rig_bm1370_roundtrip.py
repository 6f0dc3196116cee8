"""A share that a Bitaxe Gamma found and a pool accepted, once more: the pool's job goes through the
session, the scheduler, the driver and the chip's own bytes, and the same share comes back."""

from __future__ import annotations

from board_sink import plug_of
from board_vectors import FOLDER
from hand_pool import HandPool
from memory_board import EmulatedBoard
from memory_net import MemoryNet
from msgspec import json
from rig_on_pool import HOST, PORT, Clock, Run
from virtual_time import run_virtual

from sv2rig.bitcoin.target import target_for_difficulty
from sv2rig.drivers.bm13xx.driver import DRIVER
from sv2rig.drivers.bm13xx.emulator import EMULATOR
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.search import KnownAnswer
from sv2rig.sv2.messages import mining
from sv2rig.transport.interface import ByteStream

[VECTOR] = json.decode((FOLDER / "bm1370_roundtrip.json").read_bytes())["vectors"]
SV1, OUT = VECTOR["in"]["sv1"], VECTOR["out"]
HEADER = bytes.fromhex(OUT["header_80"])
CHANNEL, JOB = 2, 5


def test_the_captured_share_comes_back() -> None:
    shares: list[mining.SubmitSharesStandard] = []

    async def serve(stream: ByteStream) -> None:
        pool = await HandPool.set_up(stream)
        request = await pool.next()
        assert isinstance(request, mining.OpenStandardMiningChannel)
        # A standard channel, since all eight bytes of extranonce were used: here they are in the
        # merkle root.
        await pool.send(
            mining.OpenStandardMiningChannelSuccess(
                request.request_id,
                CHANNEL,
                target_for_difficulty(SV1["share_difficulty"]),
                bytes.fromhex(SV1["extranonce1"] + SV1["extranonce2"]),
                1,
            ),
            mining.NewMiningJob(
                CHANNEL,
                JOB,
                None,
                int(SV1["version"], 16),
                bytes.fromhex(OUT["merkle_root_internal"]),
            ),
            mining.SetNewPrevHash(
                channel_id=CHANNEL,
                job_id=JOB,
                prev_hash=HEADER[4:36],
                min_ntime=int(SV1["ntime"], 16),
                nbits=int(SV1["nbits"], 16),
            ),
        )
        while not shares:
            message = await pool.next()
            if isinstance(message, mining.SubmitSharesStandard):
                shares.append(message)

    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        net.servers[HOST, PORT] = serve
        options = EmulatorOptions(
            ticket_bits=40, known=[KnownAnswer(HEADER, after_s=0.5)], more={"chip": "BM1370"}
        )
        wires = EmulatedBoard(EMULATOR.make(options))
        board = DRIVER.make(plug_of(wires, chip="BM1370", chips="1"))
        run = Run([board], net.connect, clock, standard=True)
        await run.sees(lambda: shares)
        assert run.rig.snapshot().hardware_errors == 0
        [shown] = run.rig.snapshot().devices
        assert shown.variant == "REPLAY"
        await run.stop()

    run_virtual(main())
    [share] = shares
    assert share.nonce == 0x7552034C == OUT["nonce_u32"]
    assert share.version == 0x20B44000 == OUT["version_submitted"]
    assert share.ntime == int(SV1["ntime"], 16)
    assert (share.channel_id, share.job_id) == (CHANNEL, JOB)
