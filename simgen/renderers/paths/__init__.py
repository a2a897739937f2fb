"""What the path tracer draws with: Mitsuba 3, and the scene in its terms."""
