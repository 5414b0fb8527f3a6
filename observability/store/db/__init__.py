"""Database: connection, schema, catalog tables, SQL expressions. Only this package opens a DuckDB connection."""
