"""The kinds of records, their fields, and the validation that the SDK and the loader share."""
