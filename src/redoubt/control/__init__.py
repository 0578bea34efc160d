"""What a statement does: parameters, rounds, and the archive worker that carries rounds out."""
