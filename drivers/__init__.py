"""Board drivers, one folder a family."""
