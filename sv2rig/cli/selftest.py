"""Not written yet."""


def selftest() -> None:
    """Placeholder."""
