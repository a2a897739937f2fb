"""Where recurrence over maps and attention over frames can help: clips of degraded frames."""
