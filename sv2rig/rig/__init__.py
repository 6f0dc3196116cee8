"""Composition: a whole rig, its configuration and its snapshot."""
