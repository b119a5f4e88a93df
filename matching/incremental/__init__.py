"""A round kept optimal while needs and lots come, change and go."""
