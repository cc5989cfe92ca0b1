"""Mutated recordings of every container for the decoder: no mutant may end a process or change another recording."""
