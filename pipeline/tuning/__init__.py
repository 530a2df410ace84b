"""What a search may try and what it tries next; the only room that imports KerasTuner."""
