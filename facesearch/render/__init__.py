"""Answers to what a person or a program reads: text, JSON, CSV, paths, contact sheets."""
