"""USB ids that many makers share, and boards that are recognised without being driven.

Source: the tables of cgminer b8491c66, bfgminer 866fd36f, cgminer-gekko 7582c8da, mujina 1a69ef40.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sv2rig.devices.pattern import Contains, Matches, Pattern

# Vendors of serial bridges: whoever builds one in may leave the ids as they are.
_BRIDGE_VENDORS = {0x0403: "FTDI", 0x10C4: "Silicon Labs", 0x067B: "Prolific", 0x1A86: "QinHeng"}

# Ids that come with a chip or an example, or that were never assigned to anybody.
_SHARED_IDS = {
    (0xC0DE, 0xCAFE),  # embedded examples; Bitaxe in raw mode and BitaxeBonanza both have it
    (0x03EB, 0x204B),  # the LUFA library's serial example
    (0x04D8, 0x000A),  # Microchip's serial example
    (0x04D8, 0x00DE),  # MCP2210
    (0x04D8, 0x00DD),  # MCP2221
    (0x0483, 0x5740),  # ST's virtual COM port
    (0x2E8A, 0x000A),  # Raspberry Pi Pico
    (0x303A, 0x1001),  # every ESP32-S3 and C3 in its own JTAG/serial mode
    (0x303A, 0x4001),  # TinyUSB examples on an ESP32
}

_GENERIC_TEXT = re.compile(
    r"""silicon\ lab(oratorie)?s(,?\ inc\.?)?
    | (cp21\d\d\w?\ )?(usb\ to\ uart\ bridge|dual\ usb\ to\ uart\ bridge)(\ controller)?
    | cp21\d\d\w?(\ .*bridge.*)?
    | ftdi | future\ technology\ devices\ international.*
    | ft\d{3,4}\w*(\ (usb|basic).*)? | (usb|dual|quad|single)\ ?<?-?>?\ ?(serial|rs232)(-hs)?.*
    | c232hm.* | um232h.* | ttl232r.* | minimodule.*
    | prolific\ technology.* | usb-serial\ controller.* | pl2303.*
    | qinheng\ electronics | wch\.cn | wch | usb2?\.0-ser(ial)?!? | usb[\ -]serial | ch34\w*
    | usb\ serial(\ .*)? | usb\ single\ serial | usb-serial\ ch340 | usb2\.0-ser!
    | espressif.* | usb\ jtag/serial\ debug\ unit | stmicroelectronics | .*virtual\ com\ ?port.*
    | microchip\ technology.* | lufa.* | raspberry\ pi | pico""",
    re.IGNORECASE | re.VERBOSE,
)


def is_shared_id(vid: int | None, pid: int | None) -> bool:
    """Whether these ids alone say nothing of what is behind them."""
    if vid is None or pid is None:
        return True
    return vid in _BRIDGE_VENDORS or (vid, pid) in _SHARED_IDS


def is_generic_text(text: str | None) -> bool:
    """Whether a manufacturer or product string is only what the chip's maker put there."""
    return text is None or not text.strip() or bool(_GENERIC_TEXT.fullmatch(text.strip()))


@dataclass(frozen=True, slots=True)
class KnownBoard:
    pattern: Pattern
    advice: str


_AXE_OS = (
    "an ESP32's own console: a Bitaxe or NerdAxe with its stock firmware looks like this. Such a "
    "board mines by itself over Wi-Fi: give it your pool on its web page (`sv2rig pool run` can be "
    "that pool). To drive it from here, flash the bitaxe-raw firmware"
)
_AVALON = (
    "mines by itself over Wi-Fi or Ethernet; USB is its power or console only. Give it your pool "
    "on its web page or in its app"
)

ON_THE_NETWORK = (
    KnownBoard(Pattern(0x303A, 0x1001), _AXE_OS),
    KnownBoard(
        Pattern(product=Matches(r"(?i).*\b(nerd(axe|q?axe\+*|miner)|bitaxe ?os|axeos).*")), _AXE_OS
    ),
    KnownBoard(
        Pattern(product=Matches(r"(?i).*avalon ?(nano ?3s?|q|mini ?3)\b.*")), f"Avalon: {_AVALON}"
    ),
    KnownBoard(
        Pattern(manufacturer=Matches(r"(?i).*(bitmain|microbt|whatsminer).*")),
        "a miner's control board: it mines by itself over Ethernet. Give it your pool on its web "
        "page",
    ),
)

_NOT_YET = "known, but sv2rig has no driver for it; it is left alone"

NO_DRIVER = tuple(
    KnownBoard(pattern, f"{pattern.model}: {_NOT_YET}")
    for pattern in (
        Pattern(0xC0DE, 0xCAFE, product=Contains("Bonanza"), model="Bitaxe Bonanza (BZM2)"),
        Pattern(0x10C4, 0xEA60, manufacturer=Contains("VoltLink"), model="VoltLink FLX (BZM2)"),
        Pattern(0x10C4, 0xEA60, product=Contains("VoltLink"), model="VoltLink FLX (BZM2)"),
        Pattern(0x1FC9, 0x0003, product=Matches("ModMiner.*"), model="ModMiner Quad"),
        Pattern(0x29F1, 0x33F3, model="Avalon nano (A3222)"),
        Pattern(0x29F1, 0x40F1, model="Avalon4 mini"),
        Pattern(0x0403, 0x6014, product=Matches("BitFORCE.*"), model="BitForce"),
        Pattern(0x0403, 0x6001, product=Contains("X6500"), model="X6500"),
        Pattern(0x198C, 0xB1F1, model="Bi•fury"),
        Pattern(0x03EB, 0x2404, model="Drillbit"),
        Pattern(0x04D8, 0xF60A, model="Klondike"),
        Pattern(0x297C, 0x0001, model="HashFast"),
        Pattern(0x1CBE, 0x0003, model="Cointerra"),
        Pattern(0x4254, 0x4153, model="Antminer S1 or S3"),
    )
)
