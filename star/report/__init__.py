"""Results of several methods side by side: tables, page, pictures."""
