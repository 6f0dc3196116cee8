"""The control API: what of a rig other programs read and command."""
