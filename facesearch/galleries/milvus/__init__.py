"""A shared gallery in Milvus."""
