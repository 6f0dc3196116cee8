"""Devices that are programs: OpenCL kernels, native CPU code, the simulator."""
