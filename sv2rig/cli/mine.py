"""Not written yet."""


def mine() -> None:
    """Placeholder."""
