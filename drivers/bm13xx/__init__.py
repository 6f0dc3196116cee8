"""Chains of Bitmain's chips on a UART."""
