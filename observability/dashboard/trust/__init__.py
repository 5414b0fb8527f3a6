"""The pages under pages/trust."""
