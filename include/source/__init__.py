"""Where a catalogue file comes from, and how it arrives whole."""
