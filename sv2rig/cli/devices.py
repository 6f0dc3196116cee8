"""`sv2rig devices`."""

from __future__ import annotations

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import print_json


def devices(json: rig_options.Json = False) -> None:
    """List what can mine here, and why what cannot does not.

    Each OpenCL device has run a small kernel in a process of its own, since a broken driver can
    end the process that asks. Names in the first column go to --device.
    """
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
    if json:
        print_json({"devices": listed, "problems": list(found.problems)})
        return
    for device in listed:
        typer.echo(f"{device['id']:12} {device['kind']:10} {device['name']}")
        typer.echo(f"{'':23} {device['detail']}")
    for problem in found.problems:
        typer.echo(f"does not work: {problem}")
