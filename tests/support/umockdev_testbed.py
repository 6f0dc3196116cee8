"""USB devices that the kernel never saw, with real udev events, by umockdev through ctypes.

Only inside a process that `umockdev-wrapper` started: its preloaded library answers for /sys, /dev
and udev's netlink socket. A tty is a pty whose other end the test holds.
"""

from __future__ import annotations

import ctypes
import os
import select
from ctypes import POINTER, byref, c_char_p, c_void_p
from dataclasses import dataclass
from os import openpty
from pathlib import Path
from tty import setraw


@dataclass(frozen=True)
class PluggedIn:
    """`far_end`: the file descriptor on which what a program writes to the tty arrives.

    `pty` is another path to the tty: on all that is under /dev umockdev answers ENOTTY to ioctls,
    so a program that is to talk to it opens this.
    """

    sysfs_path: str
    tty_path: str
    pty: str
    far_end: int

    def written(self, within_s: float = 0) -> bytes:
        """What has been written to the tty and not read yet."""
        ready, _, _ = select.select([self.far_end], [], [], within_s)
        return os.read(self.far_end, 4096) if ready else b""


class Testbed:
    def __init__(self) -> None:
        self._library = ctypes.CDLL("libumockdev.so.0")
        self._library.umockdev_testbed_new.restype = c_void_p
        self._library.umockdev_testbed_add_from_string.argtypes = [c_void_p, c_char_p, c_void_p]
        self._library.umockdev_testbed_uevent.argtypes = [c_void_p, c_char_p, c_char_p]
        self._library.umockdev_testbed_remove_device.argtypes = [c_void_p, c_char_p]
        self._library.umockdev_testbed_get_root_dir.argtypes = [c_void_p]
        self._library.umockdev_testbed_get_root_dir.restype = c_char_p
        self._bed = c_void_p(self._library.umockdev_testbed_new())
        self._root = self._library.umockdev_testbed_get_root_dir(self._bed).decode()
        self._devnum = 0

    def plug(
        self, usb_path: str, ids: tuple[str, str], strings: dict[str, str], tty: str
    ) -> PluggedIn:
        """A USB serial bridge on a port, as the kernel lays one out, in the kernel's order."""
        self._devnum += 1
        device = f"/devices/pci0000:00/0000:00:14.0/usb1/{usb_path}"
        interface = f"{device}/{usb_path}:1.0"
        self._add(
            device,
            "usb",
            f"bus/usb/001/{self._devnum:03}",
            ["DEVTYPE=usb_device"],
            [
                *(f"{name}={text}" for name, text in strings.items()),
                f"idVendor={ids[0]}",
                f"idProduct={ids[1]}",
                "bcdDevice=0100",
                "bDeviceClass=00",
                "busnum=1",
                f"devnum={self._devnum}",
            ],
        )
        self._add(
            interface,
            "usb",
            None,
            ["DEVTYPE=usb_interface", "DRIVER=pl2303"],
            ["bInterfaceNumber=00", "bInterfaceClass=ff"],
        )
        far_end, near_end = openpty()  # the near end stays open: else reading the far one fails
        setraw(near_end)
        Path(self._root, "dev", tty).symlink_to(os.ttyname(near_end))
        self._add(f"{interface}/{tty}/tty/{tty}", "tty", None, [f"DEVNAME=/dev/{tty}"], [])
        return PluggedIn(f"/sys{device}", f"/dev/{tty}", f"/proc/self/fd/{near_end}", far_end)

    def unplug(self, plugged: PluggedIn) -> None:
        """What hangs on it first, each with its event."""
        usb_path = plugged.sysfs_path.rpartition("/")[2]
        tty = plugged.tty_path.rpartition("/")[2]
        interface = f"{plugged.sysfs_path}/{usb_path}:1.0"
        for path in (f"{interface}/{tty}/tty/{tty}", interface, plugged.sysfs_path):
            self._library.umockdev_testbed_uevent(self._bed, path.encode(), b"remove")
            self._library.umockdev_testbed_remove_device(self._bed, path.encode())
        Path(self._root, "dev", tty).unlink()

    def _add(
        self,
        path: str,
        subsystem: str,
        node: str | None,
        properties: list[str],
        attributes: list[str],
    ) -> None:
        lines = [f"P: {path}"]
        if node is not None:
            lines += [f"N: {node}", f"E: DEVNAME=/dev/{node}"]
        lines += [f"E: {line}" for line in (f"SUBSYSTEM={subsystem}", *properties)]
        lines += [f"A: {line}" for line in attributes]
        error = POINTER(ctypes.c_char)()
        text = "\n".join(lines) + "\n"
        done = self._library.umockdev_testbed_add_from_string(
            self._bed, text.encode(), byref(error)
        )
        if not done:
            raise RuntimeError(f"umockdev does not take {text!r}")
