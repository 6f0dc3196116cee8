"""The emulator kit: boards that speak their real bytes and really hash, for those who have none."""
