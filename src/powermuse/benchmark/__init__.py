"""What the composer is held against: rivals, results with their uncertainty, and the page that shows them."""
