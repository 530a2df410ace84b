"""The stages of a run, a file each: what `pipeline.run` tells in a line."""
