"""Bitaxe and EmberOne over USB, with their control port."""
