"""Where audio is and what it is: listing, probing, decoding. Knows nothing of speech."""
