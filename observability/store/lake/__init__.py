"""The lake beside the store. It holds raw rows as Parquet by model and day. Engines answer questions from them."""
