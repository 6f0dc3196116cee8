"""Options that every command with devices shares, with their help."""

from __future__ import annotations

from typing import Annotated

import typer

Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        "-d",
        help="What to mine with; give it again for more. opencl, opencl:0, cpu; a board as "
        "serial:WHAT or usb:WHAT: its port, serial number or USB path, as `sv2rig devices` shows "
        "them, and ?driver=NAME behind it where the board does not say what it is; simulated, "
        "with ?rate=2M&fault=hang&after=10&seed=1 for tests. Default: GPUs, else one OpenCL CPU "
        "device, else cpu; and every board that says what it is.",
    ),
]
StartInterval = Annotated[
    float, typer.Option(min=0.0, help="Seconds between the starts of two boards.")
]
HubWatts = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        help="Watts that the boards on one USB hub may draw together; one that does not fit "
        "waits. Default: no limit.",
    ),
]
LatencyMs = Annotated[
    float,
    typer.Option(
        help="Longest time in ms that launches under way may take before new work starts, 2 to "
        "1000: less wastes fewer hashes on a new block, more is a little faster."
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads of the cpu back end. Default: one a core.")
]
VersionRolling = Annotated[
    bool,
    typer.Option(
        "--version-rolling/--no-version-rolling",
        help="Roll version bits where the job allows it, with several midstates (about a fifth "
        "faster).",
    ),
]
VersionMask = Annotated[
    str,
    typer.Option(help="Version bits to roll, in hex; a server allows at most 1fffffe0 (BIP323)."),
]
Headless = Annotated[
    bool, typer.Option("--headless", help="Log lines instead of the screen, also on a terminal.")
]
Duration = Annotated[
    float | None, typer.Option(min=0.0, help="Stop after so many seconds of mining.")
]
JsonText = Annotated[bool, typer.Option("--json", help="JSON instead of text, an object a line.")]
Json = Annotated[
    bool, typer.Option("--json", help="A JSON object as the last line of stdout; implies headless.")
]
