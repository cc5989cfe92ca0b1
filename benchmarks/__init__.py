"""Measurements, each a module that prints one JSON object as its last line. Not part of the tests."""
