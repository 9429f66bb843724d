"""Forms of the pages: what a visitor may send, and what is wrong with it. Called by views."""
