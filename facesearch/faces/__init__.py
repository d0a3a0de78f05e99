"""Find, align, measure and embed the faces in a picture."""
