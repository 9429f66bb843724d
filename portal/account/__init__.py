"""The account page: its visits, what it shows, its addresses. Called by the account views.

Whoever signs in has a wallet in each shop, and keys that spend from it.
"""
