"""PowerMuse: the rhythm of one clip and the harmony of another, in a piece that is in neither."""
