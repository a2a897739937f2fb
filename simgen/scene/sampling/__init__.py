"""Every random choice of a scene is made here, once; a file for each group of knobs."""
