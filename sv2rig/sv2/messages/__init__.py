"""Every message of the specification, one dataclass each."""

from sv2rig.sv2.messages import (
    common,
    extensions,
    job_declaration,
    mining,
    template_distribution,
)

__all__ = ["common", "extensions", "job_declaration", "mining", "template_distribution"]
