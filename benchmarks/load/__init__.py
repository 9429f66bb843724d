"""Programs that make load and answer it. Each runs as a process of its own."""
