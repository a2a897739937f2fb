"""The page of a report: HTML that is drawn from report.json alone."""
