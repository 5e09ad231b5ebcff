"""RealBasicVSR."""
