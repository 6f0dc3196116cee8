"""Lines of keys, against what tomllib says is in the text and against lines known beforehand."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sv2rig.rig.config_keys import dotted
from sv2rig.rig.config_text import KeyPath, key_lines, quoted

EVERYTHING = '''\
# a comment = 1
name = "a # no comment"   # one
"quoted \\u0061" = 'it''s'
multi = """
[not.a.table]
x = \\"""
"""
text = \'\'\'
y = 2
\'\'\'

[[pools]]
url = "a"
[pools.extra]
deep.er = 1

[[pools]]
url = "b"
on = [ # first
  "x",

  { a = 1, b = [2,
    3] },
]
[device."icarus:A.1"]
frequency = 4.5e2
when = 1979-05-27 07:32:00
'''.replace("'it''s'", "'its'")


def test_lines_known_beforehand() -> None:
    lines = key_lines(EVERYTHING)
    assert {dotted(path): line for path, line in lines.items()} == {
        "name": 2,
        '"quoted a"': 3,
        "multi": 4,
        "text": 8,
        "pools": 12,
        "pools[0]": 12,
        "pools[0].url": 13,
        "pools[0].extra": 14,
        "pools[0].extra.deep": 15,
        "pools[0].extra.deep.er": 15,
        "pools[1]": 17,
        "pools[1].url": 18,
        "pools[1].on": 19,
        "pools[1].on[0]": 20,
        "pools[1].on[1]": 22,
        "pools[1].on[1].a": 22,
        "pools[1].on[1].b": 22,
        "pools[1].on[1].b[0]": 22,
        "pools[1].on[1].b[1]": 23,
        'device."icarus:A.1"': 25,
        'device."icarus:A.1".frequency': 26,
        'device."icarus:A.1".when': 27,
    }


def test_line_ends_of_another_system_count_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        if isinstance(inner, (dict, list)):
            yield from paths(inner, (*path, name))
        else:
            yield (*path, name)


values = st.recursive(
    st.integers() | st.booleans() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n # why ]\n".join(inline(part) for part in value) + "]"
    if isinstance(value, str):
        return quoted(value)
    return repr(value).lower()


@given(st.dictionaries(st.text(), values))
def test_every_key_that_tomllib_finds_has_the_line_it_stands_in(table: dict[str, Any]) -> None:
    text = "\n".join(f"{quoted(name)} = {inline(value)}" for name, value in table.items())
    lines = key_lines(text)
    assert tomllib.loads(text) == table
    known = set(paths(table))
    assert known <= lines.keys()
    rows = text.split("\n")
    for path in known & lines.keys():
        if isinstance(path[-1], str):
            assert quoted(path[-1]) in rows[lines[path] - 1]
