"""Files of single pictures, and of pictures that move."""
