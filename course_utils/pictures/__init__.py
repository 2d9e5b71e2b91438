"""Reading, resizing, drawing and showing pictures. All notebooks."""
