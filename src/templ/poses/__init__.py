"""Which of the scored poses are handed out, and their last touch: clashes removed, hydrogens added."""
