"""GekkoScience sticks and pods."""
