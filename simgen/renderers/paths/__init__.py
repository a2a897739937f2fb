"""The renderer `pathtraced`: path tracing with Mitsuba 3."""
