"""Programs for developers of the repository; not part of the package."""
