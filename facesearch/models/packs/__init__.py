"""Packs of models: known ones, those that the user has registered, and how they are fetched."""
