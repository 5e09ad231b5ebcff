"""SwiftVR: one step of a video transformer between two light codecs."""
