"""Answers each statement that Redoubt takes out of a session."""
