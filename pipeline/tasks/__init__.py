"""What is predicted: one file per task, and the table of them."""
