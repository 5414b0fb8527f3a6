"""Fixed questions that are asked again and again to a model that serves elsewhere: the file that states them, the HTTP adapter, the
records.
"""
