"""Every message of the specification, one dataclass each."""

from sv2rig.sv2.messages import common, mining

__all__ = ["common", "mining"]
