"""Not written yet."""


def bench() -> None:
    """Placeholder."""
