"""What a device is, whatever board or kernel is behind it."""
