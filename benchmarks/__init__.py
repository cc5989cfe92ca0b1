"""Benchmarks: the last line of the output of each is one JSON object. The tests run each at its smallest size only."""
