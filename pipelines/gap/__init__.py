"""The gap report: data sets, measurements, image statistics, images, the page."""
