"""Model versions: reference files, inferred features, artifacts, administration."""
