"""Read-only SQL views over the store, with documented columns, and the queries that people write over them (docs/views.md)."""
