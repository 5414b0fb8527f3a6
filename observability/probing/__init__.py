"""Fixed questions to a model that serves elsewhere, asked again and again: the file that states them, the HTTP adapter, the records."""
