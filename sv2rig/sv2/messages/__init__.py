"""Every message of the specification, one dataclass each."""
