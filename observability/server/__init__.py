"""The process that owns the store: its lock, its HTTP interface, its tokens, its background work."""
