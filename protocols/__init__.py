"""What is compared with what, and how it is scored."""
