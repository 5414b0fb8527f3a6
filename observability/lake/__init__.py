"""Files and tables in buckets, on web servers and in folders, as sources that the store loads."""
