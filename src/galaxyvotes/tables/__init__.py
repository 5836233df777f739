"""Tables of labels as people have them, and the words and numbers in their cells."""
