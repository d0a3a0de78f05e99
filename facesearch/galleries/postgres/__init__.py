"""A shared gallery in PostgreSQL with pgvector."""
