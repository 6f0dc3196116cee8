"""Each vector of vectors/boards against the code it is about; `make vectors` prints the same."""

import board_vector_checks  # noqa: F401  (both put their checks into the table)
import board_vector_families  # noqa: F401
import pytest
from board_vectors import CHECKS, NO_DRIVER, Vector, all_vectors

VECTORS = list(all_vectors())


def test_there_are_as_many_as_were_published() -> None:
    assert len(VECTORS) == 147
    assert set(NO_DRIVER) <= {vector.id for vector in VECTORS}


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_vector(vector: Vector) -> None:
    if vector.id in NO_DRIVER:
        assert vector.find_check() is None, "it has a check now: take it out of NO_DRIVER"
        return
    check = vector.find_check()
    assert check is not None, "no check"
    check(vector.given, vector.out)


def test_every_check_has_a_vector() -> None:
    used = {vector.find_check() for vector in VECTORS}
    assert {function for _, _, function in CHECKS} <= used
