"""What a person sees: here what every page uses (shell, frame, scope, tables, links), in folders what the pages of a section draw; pages/
puts them together.
"""
