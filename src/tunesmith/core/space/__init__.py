"""The space: its parameters, conditions, relations and priors; sample, contains, encode, decode."""
