"""The stages of a search, a file each: trials, their journal, their runners and their record."""
