"""The user interface. The modules here are used by every page (shell, frame, scope, tables, links); the folders hold the parts that the
pages of a section draw; pages/ puts them together.
"""
