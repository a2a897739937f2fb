"""Where bytes are kept: folders and URLs, locks, files that are written whole or not at all."""
