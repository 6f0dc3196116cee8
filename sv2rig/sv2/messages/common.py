"""Messages common to all protocols (specification 3.6)."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from sv2rig.sv2.messages.registry import Message, message
from sv2rig.sv2.wire import U8, U16, U32, Code0_255, Str0_255


class Protocol(IntEnum):
    """Values of SetupConnection.protocol."""

    MINING = 0
    JOB_DECLARATION = 1
    TEMPLATE_DISTRIBUTION = 2


class MiningSetupFlags(IntFlag):
    """SetupConnection.flags and SetupConnection.Error.flags of the mining protocol (5.3.1)."""

    REQUIRES_STANDARD_JOBS = 1 << 0  # cannot process extended jobs
    REQUIRES_WORK_SELECTION = 1 << 1  # will send SetCustomMiningJob
    REQUIRES_VERSION_ROLLING = 1 << 2  # needs jobs that allow version rolling


class MiningSetupSuccessFlags(IntFlag):
    """SetupConnection.Success.flags of the mining protocol (5.3.1)."""

    REQUIRES_FIXED_VERSION = 1 << 0  # no change of the version field is accepted
    REQUIRES_EXTENDED_CHANNELS = 1 << 1  # standard channels are not opened


class JobDeclarationSetupFlags(IntFlag):
    """SetupConnection.flags of the job declaration protocol (6.4.1)."""

    DECLARE_TX_DATA = 1 << 0  # agrees to reveal the template's transactions


@message(0x00, "SetupConnection", spec="3.6.1")
@dataclass(slots=True)
class SetupConnection(Message):
    """Client to server, first message of a connection. `flags` depends on `protocol`."""

    protocol: U8
    min_version: U16
    max_version: U16
    flags: U32
    endpoint_host: Str0_255
    endpoint_port: U16
    vendor: Str0_255
    hardware_version: Str0_255
    firmware: Str0_255
    device_id: Str0_255


@message(0x01, "SetupConnection.Success", spec="3.6.2")
@dataclass(slots=True)
class SetupConnectionSuccess(Message):
    """Server to client: the connection stands, with this version and these server flags."""

    used_version: U16
    flags: U32


@message(0x02, "SetupConnection.Error", spec="3.6.3")
@dataclass(slots=True)
class SetupConnectionError(Message):
    """Server to client before it closes; `flags` are all those it does not support, or 0."""

    flags: U32
    error_code: Code0_255


@message(0x03, "ChannelEndpointChanged", spec="3.6.4", channel=True)
@dataclass(slots=True)
class ChannelEndpointChanged(Message):
    """Server to client: forget what was negotiated about extensions on this channel."""

    channel_id: U32


@message(0x04, "Reconnect", spec="3.6.5")
@dataclass(slots=True)
class Reconnect(Message):
    """Server to client: an empty host or port 0 means the present one."""

    new_host: Str0_255
    new_port: U16
