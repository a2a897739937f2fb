"""The page of a report: HTML that is drawn from report.json, with the pictures of the file beside it."""
