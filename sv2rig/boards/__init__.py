"""The driver kit: what every board's driver shares, so that a new one is small."""
