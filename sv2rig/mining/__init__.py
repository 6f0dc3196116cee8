"""The rig's side: session, search space and scheduler."""
