"""The whole system as processes: what an installation does when it really runs."""
