"""Analysis of a study's results: parameter importance, figures and the report, for notebooks, command line and web page."""
