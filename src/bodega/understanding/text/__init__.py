"""What do texts mean, as vectors? Encoders behind one protocol (`protocols.Encoder`)."""
