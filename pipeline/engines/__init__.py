"""What computes a frozen network: one file per engine, behind one interface."""
