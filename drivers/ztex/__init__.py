"""ZTEX USB-FPGA modules over libusb."""
