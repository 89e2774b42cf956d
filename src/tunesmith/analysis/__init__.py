"""What a study shows: importance, figures and the report. Made here once, for notebook, command line and page."""
