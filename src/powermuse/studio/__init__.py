"""The local web page: two sounds in, a third out, in a browser on the same machine. Extra `studio`."""
