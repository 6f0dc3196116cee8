"""No policy looks at a clock of its own: stepping the wall clock cannot matter."""

from __future__ import annotations

import ast
from importlib.resources import files

import pytest

POLICIES = (
    "supervisor", "supervisor_limits", "decision", "fault", "watchdogs", "window", "thermal",
    "fan", "tuning", "tuning_points", "dynamic_clock", "voltage", "start_order", "safe_stop",
)  # fmt: skip
ALLOWED = {
    "__future__", "collections", "collections.abc", "dataclasses", "enum", "heapq", "itertools",
    "math", "re",
}  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_imports_nothing_that_knows_the_time(name: str) -> None:
    source = files("sv2rig.devices").joinpath(f"{name}.py").read_text()
    imported: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    own = {module for module in imported if module.startswith(("sv2rig.devices.", "sv2rig.units"))}
    assert imported - own <= ALLOWED
