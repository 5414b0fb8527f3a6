"""Change detection: windows of 1, 3 and 7 days against the reference and the model's own past, with limits, onset and minimum effects."""
