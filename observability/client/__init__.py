"""The SDK. `log`, `runs`, `asgi` and `wsgi` write records to a `spool`. It needs the standard library only."""
