"""The udev rules and the systemd unit that the package ships."""
