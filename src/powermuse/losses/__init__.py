"""One function per loss term: tensors in, a scalar with a finite gradient out, silence included."""
