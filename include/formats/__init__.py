"""What a catalogue file holds: told from its bytes, opened safely, cut into lines, parsed."""
