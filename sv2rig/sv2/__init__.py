"""The Stratum V2 protocol, sans-I/O: no sockets, no threads, no clock."""
