"""Not written yet."""


def devices() -> None:
    """Placeholder."""
