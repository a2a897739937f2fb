"""Pictures and parts as the detector sees them: features of its backbone, distances in them, and a map."""
