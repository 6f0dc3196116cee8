"""`python bench NAME`: the measurements behind docs/benchmarks.md.

A bench is a module beside this one with a DESCRIPTION of one line and `main(argv) -> int`; it
prints a table, or one JSON object on one line where argv holds --json.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

USAGE = """\
usage: make bench ARGS="NAME [--json] [options]"   one of the benches below; NAME --help tells more
       make bench [ARGS=--json]                    all of them in turn
"""


@dataclass(frozen=True, slots=True)
class Bench:
    description: str
    main: Callable[[list[str]], int]


def discover() -> dict[str, Bench]:
    """Every bench in this folder by name."""
    names = sorted(info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = {name: importlib.import_module(name) for name in names if name != "__main__"}
    return {
        name: Bench(module.DESCRIPTION, module.main)
        for name, module in modules.items()
        if hasattr(module, "DESCRIPTION") and hasattr(module, "main")
    }


def main(argv: list[str]) -> int:
    benches = discover()
    if argv and argv[0] in benches:
        return benches[argv[0]].main(argv[1:])
    if argv in ([], ["--json"]):
        return max(bench.main(argv) for bench in benches.values())
    asked_for_help = argv[0] in ("--help", "-h", "--list")
    out = sys.stdout if asked_for_help else sys.stderr
    if not asked_for_help:
        print(f"bench: there is no bench {argv[0]!r}", file=out)
    print(USAGE, file=out)
    for name, bench in benches.items():
        print(f"  {name:<12} {bench.description}", file=out)
    return 0 if asked_for_help else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
