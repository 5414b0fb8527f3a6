"""Ingestion: landing segments and files become typed rows, each exactly once."""
