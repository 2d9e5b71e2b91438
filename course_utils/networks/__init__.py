"""The networks of the course, each written out layer by layer."""
