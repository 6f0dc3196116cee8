"""Ordered bytes between two peers, and nothing else."""
