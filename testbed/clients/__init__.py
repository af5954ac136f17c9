"""The device's side of a run, the same objects whichever engine drives them."""
