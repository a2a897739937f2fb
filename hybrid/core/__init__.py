"""What all of hybrid uses: types, config, box geometry, progress."""
