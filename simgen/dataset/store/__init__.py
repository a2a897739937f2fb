"""Storage: folders and URLs, locks, atomic writes. Needs the standard library alone, and fsspec at a URL."""
