"""Incidents: findings of one fault, joined."""
