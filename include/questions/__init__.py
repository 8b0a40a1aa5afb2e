"""What people ask of a catalogue, as data: the questions file, its rows' fates, and its parts."""
