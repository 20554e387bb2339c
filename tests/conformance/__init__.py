"""The questions, their truth, and what they notice."""
