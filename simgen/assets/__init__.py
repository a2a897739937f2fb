"""Contents of scenes: parts, materials, surroundings, light."""
