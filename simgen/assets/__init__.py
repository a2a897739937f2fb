"""What scenes are made of: parts, materials, surroundings, light."""
