"""FPGA designs on a bare UART, in three dialects."""
