"""The frozen base as a compiled constant function, and the store of what it computes."""
