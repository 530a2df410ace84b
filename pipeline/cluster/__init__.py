"""Independent pieces of work: one after another here, or side by side on several machines."""
