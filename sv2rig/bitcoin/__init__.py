"""Bitcoin's data structures: pure functions on bytes and integers."""
