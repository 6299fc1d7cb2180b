"""Two-stream encoders, their weights and their batch normalisation."""
