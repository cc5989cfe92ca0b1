"""What users ask of a batch: create, change, retry and estimate it. Nothing here runs work."""
