"""What the emulator puts in the place of packages inside quick worker processes."""
