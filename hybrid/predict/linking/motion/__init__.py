"""Where tracks are expected: from their places (`filter`), and from the pixels of what they show (`pixels`)."""
