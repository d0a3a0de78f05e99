"""All SQL of the catalog."""
