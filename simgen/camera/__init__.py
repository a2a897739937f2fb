"""From linear light to a picture: lens, shutter, sensor."""
