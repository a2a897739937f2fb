"""The values of a report: report.json, and all that the page may show."""
