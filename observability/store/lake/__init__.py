"""The lake beside the store: raw rows as Parquet by model and day, and engines that answer questions from them."""
