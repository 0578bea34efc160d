"""The statements that Redoubt adds to the engine's SQL: text in, typed statements, answers and errors out. No I/O."""
