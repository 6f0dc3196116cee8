"""The founding documents' [stratum_v2] table, as blvm's node and its Stratum V2 module read it, and
what its keys mean for a rig."""

from __future__ import annotations

from typing import Any

from sv2rig.rig.config_errors import Finding, Origins
from sv2rig.rig.config_keys import dotted
from sv2rig.rig.config_model import FoundingConfig
from sv2rig.rig.config_text import KeyPath

TABLE = "stratum_v2"
_MAPPED = {"pool_url": "url", "user": "user", "user_file": "user_file"}
_OF_A_POOL = "is of no use to a rig; `sv2rig pool run` is the pool, and has"
_OF_A_NODE = "belongs to the node and is of no use to a rig"
_NOTES = {
    "listen_addr": f"{_OF_A_POOL} --listen HOST:PORT",
    "difficulty_target": f"{_OF_A_POOL} --shares-per-minute",
    "max_connections": f"{_OF_A_POOL} limits of its own",
    "pool_name": f"{_OF_A_POOL} no name",
    "extra_extranonce": f"{_OF_A_POOL} its own way to share out extranonces",
    "transport_preference": f"{_OF_A_NODE}, which speaks TCP here",
    "p2p_stratum_demux": _OF_A_NODE,
    "merge_mining_enabled": f"{_OF_A_NODE}: it is the pool who merges chains",
    "secondary_chains": f"{_OF_A_NODE}: it is the pool who merges chains",
}


def map_founding(raw: dict[str, Any], origins: Origins) -> list[Finding]:
    """Make the pool of [stratum_v2] one of `raw`'s pools; what stands in the way of that."""
    table = raw.get(TABLE)
    if not isinstance(table, dict) or "pool_url" not in table or table.get("enabled") is False:
        return []
    url_path: KeyPath = (TABLE, "pool_url")
    if raw.get("pools"):
        words = f"[[pools]] is given too, {origins.near(('pools',))}: one of them"
        return [Finding(origins.near(url_path), dotted(url_path), words)]
    if not isinstance(table["pool_url"], str):
        return []  # the table's own check says so
    pool = {ours: table[theirs] for theirs, ours in _MAPPED.items() if theirs in table}
    pool["url"] = public_url(pool["url"])
    raw["pools"] = [pool]
    for theirs, ours in _MAPPED.items():
        origins.moved(("pools", 0, ours), (TABLE, theirs))
    origins.moved(("pools", 0), (TABLE,))
    return []


def public_url(url: str) -> str:
    """The documents write stratum+tcp:// and tcp:// for what the specification calls
    stratum2+tcp://."""
    scheme, separator, rest = url.partition("://")
    return f"stratum2+tcp://{rest}" if separator and scheme in ("stratum+tcp", "tcp") else url


def _of_the_url(table: FoundingConfig) -> str:
    if not table.enabled or table.pool_url is None:
        return "is not used: enabled = false"
    words = "is read as url in [[pools]]"
    if public_url(table.pool_url) != table.pool_url:
        words += f", and {table.pool_url.partition('://')[0]}:// as stratum2+tcp://"
    return words


def notes(table: FoundingConfig, origins: Origins) -> list[Finding]:
    """What `config check` says about the founding keys that are given."""
    found = []
    for name in table.model_fields_set:
        path: KeyPath = (TABLE, name)
        words = _NOTES.get(name)
        if name == "pool_url":
            words = _of_the_url(table)
        if words is not None:
            found.append(Finding(origins.near(path), dotted(path), words, is_note=True))
    return sorted(found, key=str)
