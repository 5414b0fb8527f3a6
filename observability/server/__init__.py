"""The process that owns the store: lock, HTTP interface, tokens, background work."""
