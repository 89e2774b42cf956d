"""Vizier's clients: the open-source one over gRPC, that of Vertex AI over REST; both come to the same studies."""
