"""Tests of the JSON API: what it answers, to whom, and how it refuses."""
