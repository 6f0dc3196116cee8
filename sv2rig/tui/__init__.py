"""The screen: a reader of SnapshotSource that can die, lag or be absent without costing a hash."""
