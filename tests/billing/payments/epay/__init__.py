"""The epay provider: its signatures, its calls, its notifications, and orders paid by it."""
