"""Types that every package shares: windows, questions, findings, analyzers, the catalog, settings, metric definitions, errors."""
