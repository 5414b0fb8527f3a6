"""The user interface. Every page uses the modules in this folder (shell, frame, scope, tables, links); the subfolders hold the parts that
the pages of a section draw; the files in pages/ combine these parts.
"""
