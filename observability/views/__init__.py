"""What a person sees: the shell, the page frame, charts, tables and links; pages/ puts them together."""
