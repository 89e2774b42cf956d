"""Built-in training programs, for whoever has data and no program: tables, and folders of images."""
