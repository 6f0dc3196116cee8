"""Icarus, Lancelot and Block Erupter: 64 bytes in, 4 bytes out."""
