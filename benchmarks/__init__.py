"""What minicnn's speed is measured with: `python -m benchmarks`, or `make bench`. See README.md here."""
