"""Which crystals a query may copy, which of them it does copy, and how they are brought to it."""
