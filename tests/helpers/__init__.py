"""What several test rooms make their cases with; no test lies here."""
