"""A folder of imported parts: adding one, its page, and looking at what is there."""
