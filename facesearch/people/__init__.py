"""Who is who: grouping faces by person, and what the user says about people."""
