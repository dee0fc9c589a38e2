"""Songs whose rhythm, chords and instruments are chosen freely, so that the right answer to a swap is known."""
