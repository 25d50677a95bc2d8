"""Speed beside installable peers, measured in one run: `python -m benchmarks.speed`."""
