"""The camera, from linear light to a compressed image: lens, shutter, sensor."""
