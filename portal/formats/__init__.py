"""Formats of dates by language, named by `FORMAT_MODULE_PATH`."""
