"""The SDK. The modules `log`, `runs`, `asgi` and `wsgi` write records to a spool (segment files on disk, module `spool`). It needs only the
standard library.
"""
