"""`make vectors`: how many vectors of vectors/boards are proved, and why each other one is not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import board_vector_checks  # noqa: F401  (both put their checks into the table)
import board_vector_families  # noqa: F401
from board_vectors import NO_DRIVER, all_vectors


def main() -> int:
    """Prints the count; not 0 where a vector fails that is not known to have no driver."""
    vectors = list(all_vectors())
    reasons = {vector: vector.not_passed() for vector in vectors}
    missed = [(vector, reason) for vector, reason in reasons.items() if reason is not None]
    print(f"{len(vectors) - len(missed)}/{len(vectors)}")
    for vector, reason in missed:
        print(f"  {vector}: {reason}")
    return 0 if all(vector.id in NO_DRIVER for vector, _ in missed) else 1


if __name__ == "__main__":
    sys.exit(main())
