"""Not written yet."""


def demo() -> None:
    """Placeholder."""
