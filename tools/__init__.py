"""Programs for people who work on the repository; not part of the package."""
