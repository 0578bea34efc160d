"""The database engines whose logs are archived, one package each."""
