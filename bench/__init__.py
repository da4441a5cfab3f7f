"""Benchmarks for any S3 endpoint, run by hand: `python -m bench`, `python -m bench.memory`."""
