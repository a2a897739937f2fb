"""What sees one frame: backbone, and a branch for depth."""
