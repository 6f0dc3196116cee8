"""`sv2rig devices`."""

from __future__ import annotations

import asyncio
import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import print_json, print_text

if TYPE_CHECKING:
    from sv2rig.boards.ports import Change
    from sv2rig.rig.port_listing import ListedPort, PortListing

_INDENT = " " * 4

Watch = Annotated[
    bool, typer.Option("--watch", help="Show boards as they are plugged in and out, until Ctrl-C.")
]


def devices(json: rig_options.JsonText = False, watch: Watch = False) -> None:
    """List what can mine here, and why the rest cannot.

    Names in the first column go to --device. Each OpenCL device has run a small kernel in a process
    of its own, since a broken driver can end the process that asks. Boards are listed without
    opening their ports, which would reset some. `sv2rig mine` takes those that are "ready" by
    itself; one that "needs opt-in" you have to name, in the words shown.
    """
    from sv2rig.boards.driver import all_drivers
    from sv2rig.rig.port_listing import PortListing

    listing = PortListing(all_drivers().values())
    if watch:
        asyncio.run(_watch(listing, json))
        return
    computing, problems = _computing()
    boards = _boards(listing)
    if json:
        ports = [_port_row(port) for port in boards]
        print_json({"devices": computing, "problems": problems, "ports": ports})
        return
    for device in computing:
        print_text(f"{device['id']:12} {device['kind']:10} {device['name']}")
        print_text(f"{'':23} {device['detail']}")
    for problem in problems:
        print_text(f"does not work: {problem}")
    for port in boards:
        _print_port(port)


def _computing() -> tuple[list[dict[str, str | int | None]], list[str]]:
    """What this machine computes on, and what of it is broken."""
    from sv2rig.compute.cpu import available_cores, cpu_name
    from sv2rig.compute.native import usable_variants
    from sv2rig.compute.opencl_probe import probe
    from sv2rig.compute.simulated import DEFAULT_RATE_HS

    found = probe()
    listed: list[dict[str, str | int | None]] = [
        {
            "id": device.device_id,
            "backend": "opencl",
            "kind": device.kind.value,
            "name": device.name,
            "detail": f"{device.platform}, {device.compute_units} compute units",
            "driver": device.driver_version,
        }
        for device in found.devices
    ]
    native = ", ".join(variant.name for variant in usable_variants())
    listed += [
        {
            "id": "cpu",
            "backend": "cpu",
            "kind": "CPU",
            "name": cpu_name(),
            "detail": f"{available_cores()} cores, native code: {native}",
            "driver": None,
        },
        {
            "id": "simulated",
            "backend": "simulated",
            "kind": "simulated",
            "name": "simulated board",
            "detail": f"really hashes, {DEFAULT_RATE_HS / 1000:g} kH/s unless told otherwise",
            "driver": None,
        },
    ]
    return listed, list(found.problems)


def _boards(listing: PortListing) -> list[ListedPort]:
    from sv2rig.boards.ports import PortWatcher
    from sv2rig.boards.surroundings import look_around

    return listing.of(PortWatcher().current(), look_around())


async def _watch(listing: PortListing, json: bool) -> None:
    from sv2rig.boards.ports import PortWatcher
    from sv2rig.cli.signals import stop_requested

    async def follow() -> None:
        watcher = PortWatcher()
        async for change in watcher.changes():
            _print_change(listing, change, await asyncio.to_thread(watcher.current), json)

    stopped = asyncio.create_task(stop_requested().wait())
    following = asyncio.create_task(follow())
    await asyncio.wait((stopped, following), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if following.done():
        following.result()
    following.cancel()


def _print_change(
    listing: PortListing, change: Change, plugged: tuple[Any, ...], json: bool
) -> None:
    from sv2rig.boards.surroundings import look_around

    around = look_around()
    gone = listing.of(change.removed, around)
    came = [port for port in listing.of(plugged, around) if port.sighting in change.added]
    if json:
        added = [_port_row(port) for port in came]
        print_json({"added": added, "removed": [port.sighting.usb_path for port in gone]})
        return
    for port in gone:
        print_text(f"- {port.name}  {port.title}")
    for port in came:
        _print_port(port, "+ ")


def _print_port(port: ListedPort, mark: str = "") -> None:
    _print_wrapped(f"{mark}{port.name:22} {port.state}: {port.title}", "")
    driver = f"driver {port.choice.driver}: " if port.choice.driver else ""
    for text in (f"{driver}{port.choice.reason}", *(problem.text for problem in port.problems)):
        _print_wrapped(text, _INDENT)


def _print_wrapped(text: str, indent: str) -> None:
    """Within the terminal; what is to be copied is never broken."""
    wrapped = textwrap.wrap(
        text,
        max(shutil.get_terminal_size().columns, 60),
        initial_indent=indent,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in wrapped:
        print_text(line)


def _port_row(port: ListedPort) -> dict[str, Any]:
    seen = port.sighting
    return {
        "name": port.name,
        "id": port.device_id,
        "state": port.state,
        "driver": port.choice.driver,
        "reason": port.choice.reason,
        "problems": [
            {"obstacle": problem.obstacle.value, "text": problem.text, "blocks": problem.blocks}
            for problem in port.problems
        ],
        "usb_path": seen.usb_path,
        "vid": seen.vid,
        "pid": seen.pid,
        "manufacturer": seen.manufacturer,
        "product": seen.product,
        "serial": seen.serial,
        "ports": [{"path": each.path, "interface": each.interface} for each in seen.ports],
        "kernel_driver": seen.kernel_driver,
        "emulated": seen.emulator is not None,
    }
