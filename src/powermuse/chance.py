"""Random numbers that are functions of what they are for, not of what was drawn before."""

import hashlib


def number(key: str) -> int:
    """A number from 0 to below 2^64 that only `key` decides."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
