"""Known answers of SRI's channel code; tests/vectors/channels/README.md names the sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.header import from_display
from sv2rig.bitcoin.target import MAX_TARGET, bits_to_target
from sv2rig.sv2 import client_events
from sv2rig.sv2.client_channel import without_witness
from sv2rig.sv2.client_channels import ClientChannels
from sv2rig.sv2.job import Job
from sv2rig.sv2.messages import mining
from sv2rig.sv2.share_check import GoodShare, ServedJob, check_share
from sv2rig.sv2.template_job import MiningTemplate

SRI = json.loads((Path(__file__).parents[1] / "vectors" / "channels" / "sri_jobs.json").read_text())
SHARES = [pytest.param(share, id=share["name"]) for share in SRI["shares"]]


def opened(vector: dict[str, Any], extended: bool, target: int) -> ClientChannels:
    """A client with channel 2 of group 1 open, with the vector's prefix."""
    client = ClientChannels()
    prefix = bytes.fromhex(vector["extranonce_prefix"])
    if extended:
        size = len(bytes.fromhex(vector["extranonce"]))
        request = client.open_extended("alice", 0.0, min_extranonce_size=size)
        client.handle(
            mining.OpenExtendedMiningChannelSuccess(request, 2, target, size, prefix, 1), 0.0
        )
    else:
        request = client.open_standard("alice", 0.0)
        client.handle(mining.OpenStandardMiningChannelSuccess(request, 2, target, prefix, 1), 0.0)
    return client


def activate(client: ClientChannels, vector: dict[str, Any]) -> Job:
    """The job that the vector's coinbase becomes as a group's future job."""
    client.handle(
        mining.NewExtendedMiningJob(
            channel_id=1,
            job_id=1,
            min_ntime=None,
            version=vector["version"],
            version_rolling_allowed=True,
            merkle_path=(),
            coinbase_tx_prefix=bytes.fromhex(vector["coinbase_tx_prefix"]),
            coinbase_tx_suffix=bytes.fromhex(vector["coinbase_tx_suffix"]),
        ),
        0.0,
    )
    prev_hash = bytes.fromhex(vector["prev_hash"])
    events = client.handle(
        mining.SetNewPrevHash(1, 1, prev_hash, vector["min_ntime"], vector["nbits"]), 0.0
    )
    (activated,) = (e for e in events if isinstance(e, client_events.JobActivated))
    return activated.job


def test_a_standard_member_computes_sris_merkle_root() -> None:
    vector = SRI["standard_job"]
    job = activate(opened(vector, False, MAX_TARGET), vector)
    assert job.merkle_root == bytes.fromhex(vector["merkle_root"])


@pytest.mark.parametrize("share", SHARES)
def test_the_client_hashes_sris_shares(share: dict[str, Any]) -> None:
    if share["displayed_hash"] is None:
        assert share["result"] in ("block", "difficulty-too-low")  # the verdict only, see below
        return
    job = activate(
        opened(share, share["kind"] == "extended", int(share["channel_target"], 16)), share
    )
    root = job.merkle_root_for(bytes.fromhex(share["extranonce"]))
    header = (
        share["version"].to_bytes(4, "little")
        + job.prev_hash
        + root
        + share["ntime"].to_bytes(4, "little")
        + job.nbits.to_bytes(4, "little")
        + share["nonce"].to_bytes(4, "little")
    )
    assert sha256d(header) == from_display(share["displayed_hash"])


@pytest.mark.parametrize("share", SHARES)
def test_the_server_judges_sris_shares_as_sri_does(share: dict[str, Any]) -> None:
    template = MiningTemplate(
        template_id=1,
        version=0x20000000,
        coinbase_prefix=bytes.fromhex(share["coinbase_tx_prefix"]),
        coinbase_suffix=bytes.fromhex(share["coinbase_tx_suffix"]),
        merkle_path=(),
        prev_hash=bytes.fromhex(share["prev_hash"]),
        nbits=share["nbits"],
        min_ntime=share["min_ntime"],
        network_target=bits_to_target(share["nbits"]),
    )
    prefix = bytes.fromhex(share["extranonce_prefix"])
    extranonce = bytes.fromhex(share["extranonce"])
    assert template.extranonce_room == len(prefix + extranonce) == 32
    job = ServedJob(1, template, prefix, int(share["channel_target"], 16), share["min_ntime"])
    fields = (2, 1, 1, share["nonce"], share["ntime"], share["version"])
    message = (
        mining.SubmitSharesExtended(*fields, extranonce)
        if extranonce
        else mining.SubmitSharesStandard(*fields)
    )
    judged = check_share(job, message, utc=share["ntime"])
    if isinstance(judged, str):
        assert judged == share["result"]
        return
    assert isinstance(judged, GoodShare)
    assert judged.is_block == (share["result"] == "block")
    assert share["result"] in ("block", "valid")
    if share["displayed_hash"]:
        assert judged.share_hash == from_display(share["displayed_hash"])


def test_sris_pool_job_leaves_room_for_the_whole_extranonce() -> None:
    vector = SRI["pool_job"]
    template = MiningTemplate(
        template_id=1,
        version=vector["version"],
        coinbase_prefix=bytes.fromhex(vector["coinbase_tx_prefix"]),
        coinbase_suffix=bytes.fromhex(vector["coinbase_tx_suffix"]),
        merkle_path=(),
        prev_hash=bytes(32),
        nbits=0x207FFFFF,
        min_ntime=0,
        network_target=0,
    )
    assert template.extranonce_room == vector["full_extranonce_size"]
    assert template.coinbase_prefix[-1] == vector["full_extranonce_size"]  # the push opcode


def test_stray_witness_bytes_are_stripped_as_sri_strips_them() -> None:
    vector = {name: bytes.fromhex(value) for name, value in SRI["bip141"].items()}
    message = mining.NewExtendedMiningJob(
        1, 1, None, 1, True, (), vector["coinbase_tx_prefix"], vector["coinbase_tx_suffix"]
    )
    stripped = without_witness(message)
    assert isinstance(stripped, mining.NewExtendedMiningJob)
    assert stripped.coinbase_tx_prefix == vector["stripped_prefix"]
    assert stripped.coinbase_tx_suffix == vector["stripped_suffix"]
    assert without_witness(stripped) is stripped
