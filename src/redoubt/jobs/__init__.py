"""Long pieces of work in processes of their own: what is asked of them, and what they tell."""
