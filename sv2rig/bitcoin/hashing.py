"""Bitcoin's hash functions."""

import hashlib


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256, 32 raw bytes in the order that headers use."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
