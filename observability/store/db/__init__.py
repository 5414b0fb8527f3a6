"""The database: connection, schema, migrations, catalog. Nothing else imports duckdb's connection."""
