"""Pages: fetch, validate, one call that writes, answer. One module per subject, called by urls."""
