"""Payments by Stripe: its own library asks a Stripe on loopback."""
