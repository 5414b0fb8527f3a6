"""Dashboards that people put together from figures of pages."""
