"""Faces, kept: the catalog (SQLite, the truth), the vectors (FAISS, derived), and the folder that holds both."""
