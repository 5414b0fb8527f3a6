"""Ingestion: landing segments and files become typed rows, exactly once."""
