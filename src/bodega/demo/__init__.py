"""What does it look like on a real shop? A year of a real supermarket, from an installed package, as two feed files."""
