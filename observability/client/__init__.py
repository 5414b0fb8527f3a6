"""How does a service, a job or a script send its records? Through `log`, `runs`, `asgi` and `wsgi`, which write to a `spool`."""
