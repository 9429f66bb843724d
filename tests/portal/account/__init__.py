"""Tests of accounts: signing in by mail, the account page, its keys."""
