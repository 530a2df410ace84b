"""What a command does from start to end; `stages` and `trials` hold the steps."""
