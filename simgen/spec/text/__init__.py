"""Text from outside: bounded readers of JSON and YAML, and text that may be printed."""
