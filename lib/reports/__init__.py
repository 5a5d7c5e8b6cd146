"""From executed notebooks to HTML pages."""
