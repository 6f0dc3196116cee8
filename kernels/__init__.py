"""OpenCL sources and the generators of the SHA-256d search code."""
