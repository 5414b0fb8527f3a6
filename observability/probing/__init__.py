"""Probes: fixed questions that are asked again and again to a model that runs elsewhere. The package reads the file that states them, sends
them over HTTP and makes the records.
"""
