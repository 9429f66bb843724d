"""Client programs as people run them, each in the environment that it needs."""
