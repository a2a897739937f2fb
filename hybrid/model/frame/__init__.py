"""From one frame to maps: backbone, pyramid, depth."""
