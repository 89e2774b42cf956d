"""One file for each third-party package; each is imported only here, when it is used."""
