"""sv2rig: a Stratum V2 rig controller and pool."""

__version__ = "0.1.0"
