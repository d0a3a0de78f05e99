"""Output for people and programs: text, JSON, CSV, paths, contact sheets and galleries."""
